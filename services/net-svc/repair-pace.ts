// How often to repair: at once, but with a bounded part of the machine, and slowly against somebody who fights. Of the host's side, or of one
// container. Pure.

/** A pass may take a tenth of the time. */
const REST_PER_WORK = 10;
const MIN_REST_MS = 20;
/** What is gone should be back within a second of the event that told it. */
const MAX_REST_MS = 300;
/** More repairs than this within the window, and somebody undoes them on purpose. */
const MAX_REPAIRS = 20;
const WINDOW_MS = 10_000;
export const CONTESTED_REST_MS = 5_000;
/** After a repair that failed it is tried again, also when nothing is heard. */
const RETRY_MS = 1_000;
const MAX_RETRY_MS = 15_000;

export interface Pace {
  /**
   * When passes repaired something, oldest first; only those that still count. Milliseconds of a clock that stands still during
   * passes: who fights is no less noticed on a machine on which each takes long.
   */
  readonly repairsMs: readonly number[];
  /** Milliseconds that all passes took. */
  readonly workedMs: number;
  /** Until when somebody is held to fight, monotonic milliseconds. */
  readonly contestedUntilMs: number;
  /** Passes in a row that failed. */
  readonly failures: number;
}

export interface Pass {
  readonly startedMs: number;
  readonly endedMs: number;
  readonly repaired: boolean;
  readonly failed: boolean;
}

export const CALM: Pace = { repairsMs: [], workedMs: 0, contestedUntilMs: 0, failures: 0 };

export function afterPass(before: Pace, pass: Pass): Pace {
  const { repairsMs, contestedUntilMs, failures } = before;
  const workedMs = before.workedMs + pass.endedMs - pass.startedMs;
  const restedMs = pass.endedMs - workedMs;
  const recent = repairsMs.filter((at) => at > restedMs - WINDOW_MS);
  const repairs = pass.repaired ? [...recent, restedMs] : recent;
  const wasContested = contestedUntilMs > pass.endedMs;
  const contested = repairs.length > MAX_REPAIRS || (wasContested && pass.repaired);
  return {
    repairsMs: repairs,
    workedMs,
    contestedUntilMs: contested ? pass.endedMs + 2 * WINDOW_MS : contestedUntilMs,
    failures: pass.failed ? failures + 1 : 0,
  };
}

export function isContested({ contestedUntilMs }: Pace, nowMs: number): boolean {
  return contestedUntilMs > nowMs;
}

/** Milliseconds to rest after the pass before the next one. */
export function restMs(pace: Pace, { startedMs, endedMs }: Pass): number {
  if (isContested(pace, endedMs)) return CONTESTED_REST_MS;
  return Math.min(MAX_REST_MS, Math.max(MIN_REST_MS, REST_PER_WORK * (endedMs - startedMs)));
}

/** Milliseconds until the next pass although nothing is heard; -1: none. */
export function retryMs({ failures }: Pace): number {
  return failures === 0 ? -1 : Math.min(MAX_RETRY_MS, RETRY_MS * 2 ** (failures - 1));
}
