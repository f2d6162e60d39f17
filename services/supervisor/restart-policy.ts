// When a service that ended is started again, as a pure function of its recent ends.

export interface RestartHistory {
  /** Ends in a row without HEALTHY_AFTER_MS of health between them. */
  readonly consecutive: number;
  /** When it ended, milliseconds of a clock that is never set, oldest first; only those of the last DEGRADED_WINDOW_MS. */
  readonly recent: readonly number[];
}

export interface RestartDecision {
  readonly history: RestartHistory;
  readonly delayMs: number;
  /** It ends more often than it should; stays true until a whole window has few enough ends. */
  readonly degraded: boolean;
}

export const FRESH: RestartHistory = { consecutive: 0, recent: [] };

/** Uptime after which a service counts as healthy again. */
export const HEALTHY_AFTER_MS = 10_000;
const DEGRADED_WINDOW_MS = 30_000;
const DEGRADED_ABOVE = 5;
/** Between tries while degraded, and the longest backoff. */
export const SLOW_RETRY_MS = 5_000;
const FIRST_DELAY_MS = 100;
/** Backoff is shortened by up to this part, so that services that died together do not come back together. */
const JITTER = 0.25;

/** `nowMs`: as in the history; `upMs`: how long it had been ready; `random`: in [0, 1). The first end in a row restarts at once. */
export function decideRestart(history: RestartHistory, nowMs: number, upMs: number, random: number): RestartDecision {
  const consecutive = upMs >= HEALTHY_AFTER_MS ? 1 : history.consecutive + 1;
  const recent = [...history.recent, nowMs].filter((endedMs) => nowMs - endedMs < DEGRADED_WINDOW_MS);
  const degraded = recent.length > DEGRADED_ABOVE;
  const backoffMs = consecutive === 1 ? 0 : Math.min(SLOW_RETRY_MS, FIRST_DELAY_MS * 2 ** (consecutive - 2));
  const delayMs = degraded ? SLOW_RETRY_MS : Math.round(backoffMs * (1 - JITTER * random));
  return { history: { consecutive, recent }, delayMs, degraded };
}

/** Whether the ends of the past still count as too many. */
export function isDegraded(history: RestartHistory, nowMs: number): boolean {
  return history.recent.filter((endedMs) => nowMs - endedMs < DEGRADED_WINDOW_MS).length > DEGRADED_ABOVE;
}
