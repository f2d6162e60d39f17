// The restarts of one service: how many there were, and when the next one is due (restart-policy.ts).
import type { Logger } from '../../shared/log/logger.ts';
import { decideRestart, FRESH, isDegraded, type RestartHistory, SLOW_RETRY_MS } from './restart-policy.ts';

export interface Restarts {
  readonly count: number;
  /** It ends more often than it should. */
  readonly degraded: boolean;
  /** It ended, after so much time of being ready: answers the milliseconds until it is to start again. */
  next(upMs: number): number;
}

export function createRestarts(service: string, log: Logger): Restarts {
  let history: RestartHistory = FRESH;
  let count = 0;
  return {
    get count() {
      return count;
    },
    get degraded() {
      return isDegraded(history, performance.now());
    },
    next(upMs) {
      const decision = decideRestart(history, performance.now(), upMs, Math.random());
      history = decision.history;
      count += 1;
      if (decision.degraded) log.error(`${service} ends too often, retrying every ${SLOW_RETRY_MS} ms`);
      return decision.delayMs;
    },
  };
}
