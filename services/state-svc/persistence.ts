// For the steps without which nothing can go on: asked until there is an answer, but for what can have no other, and for no longer than
// what is tried may take to come up.
import { Fault } from '../../shared/ipc/fault.ts';
import type { Logger } from '../../shared/log/logger.ts';
import { type Clock, sleep } from './clock.ts';
import { isLasting } from './peers.ts';

export interface Persistence {
  /** Rejects with the fault that is left. */
  persist<T>(call: () => Promise<T>): Promise<T>;
  /** From now on; there is none where nobody says so. */
  limit(forMs: number): void;
  /** What each call that is asked again met last. */
  met(): readonly string[];
}

const PERSIST_MS = 5000;

export function createPersistence(clock: Clock, log: Logger): Persistence {
  let untilMs = Number.POSITIVE_INFINITY;
  const met = new Map<() => Promise<unknown>, string>();
  return {
    async persist(call) {
      for (;;) {
        try {
          const answer = await call();
          met.delete(call);
          return answer;
        } catch (error) {
          met.delete(call);
          if (clock.elapsedMs() >= untilMs || (error instanceof Fault && isLasting(error))) throw error;
          met.set(call, String(error));
          log.error(`${String(error)}; trying again in ${PERSIST_MS} ms`);
          await sleep(clock, PERSIST_MS);
        }
      }
    },
    limit(forMs) {
      untilMs = clock.elapsedMs() + forMs;
    },
    met: () => [...met.values()],
  };
}
