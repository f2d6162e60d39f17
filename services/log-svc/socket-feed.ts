// Learns from the supervisor which of the inherited descriptors are whose sockets; it says so anew to every start of this service.
import { setTimeout as delay } from 'node:timers/promises';
import type { Channel } from '../../shared/ipc/contract.ts';
import type { Logger } from '../../shared/log/logger.ts';
import { type LogSockets, supervisorContract } from '../supervisor/contract.ts';
import type { ContainerSockets } from './container-sockets.ts';

const RETRY_MS = 200;

/** Returns at once; the result ends what is under way. */
export function feedFromSupervisor(channel: Channel, sockets: ContainerSockets, log: Logger): () => void {
  const stopped = new AbortController();
  const { signal } = stopped;
  /** What an event said while the list was on its way is newer than the list. */
  let spokenOf = new Set<string>();
  let loading = Promise.resolve();

  const open = ({ container, devLog, ctrlLog, fdLog }: LogSockets): void => {
    sockets.open({ container, datagramFds: [devLog, ctrlLog], intakeFd: fdLog });
    log.debug(`reading the log sockets of container '${container}'`);
  };
  const settle = (listed: readonly LogSockets[]): void => {
    const names = new Set(listed.map(({ container }) => container));
    for (const gone of sockets.containers().filter((name) => !names.has(name) && !spokenOf.has(name))) {
      sockets.close(gone);
    }
    for (const one of listed) if (!spokenOf.has(one.container)) open(one);
  };
  const load = async (): Promise<void> => {
    while (!signal.aborted) {
      spokenOf = new Set();
      try {
        const answer = await channel.client(supervisorContract).listLogSockets({}, { signal });
        if (answer.ok) settle(answer.value.sockets);
        return;
      } catch (error) {
        if (signal.aborted) return;
        log.debug(`the supervisor does not say which sockets there are, asking again: ${String(error)}`);
        await delay(RETRY_MS, undefined, { signal }).catch(() => undefined);
      }
    }
  };
  const reload = (): void => {
    loading = loading.then(load);
  };
  channel.subscribe(supervisorContract, 'logSocketsOpened', {
    onEvent(one) {
      spokenOf.add(one.container);
      open(one);
    },
    onLost: reload,
  });
  channel.subscribe(supervisorContract, 'logSocketsClosed', {
    onEvent({ container }) {
      spokenOf.add(container);
      sockets.close(container);
    },
    onLost: reload,
  });
  reload();
  return () => stopped.abort();
}
