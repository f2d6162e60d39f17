// The first start of a tree's services, in turns: each is computing from its first instant to its last, and all at once would all be late.
import type { ServiceName } from '../../shared/ipc/contract.ts';
import type { SupervisedService } from './supervised-service.ts';

/** First what `GET /containers` waits for when no container can run yet, then what the first container does. */
const TURNS: readonly ServiceName[] = ['state-svc', 'ctl-svc', 'lxc-svc', 'net-svc', 'ipam-svc', 'log-svc'];

/** Who waits longer is started all the same: one that hangs in its start holds up nobody but itself. */
const PATIENCE_MS = 1_000;

type Startable = Pick<SupervisedService, 'state' | 'start'>;

export interface StartTurns {
  isWaiting(service: ServiceName): boolean;
  /** To be called when any of them has become ready. */
  look(): void;
  /** It gets no turn any more: somebody else starts it, or wants it stopped. */
  forget(service: ServiceName): void;
  /** Nobody does. */
  end(): void;
}

/** `atATime`: how many may be on their way at once, at least one. */
export function startInTurns(services: ReadonlyMap<ServiceName, Startable>, atATime: number): StartTurns {
  const waiting = new Set(TURNS);
  const starting = (): number => [...services.values()].filter(({ state }) => state === 'starting').length;
  const look = (): void => {
    for (const service of waiting) {
      if (starting() >= atATime) return;
      begin(service);
    }
  };
  const begin = (service: ServiceName): void => {
    waiting.delete(service);
    services.get(service)?.start();
  };
  const patience = setTimeout(() => waiting.forEach(begin), PATIENCE_MS);
  look();
  return {
    isWaiting: (service) => waiting.has(service),
    look,
    forget: (service) => void waiting.delete(service),
    end() {
      clearTimeout(patience);
      waiting.clear();
    },
  };
}
