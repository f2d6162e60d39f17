// A timer of many processes that goes off in all of them at once: the tree wakes a few times a second instead of a few times for each
// process, and the processor sleeps in between.
import process from 'node:process';

export interface Alignment {
  /** Does not keep the process alive. */
  readonly passive?: boolean;
  /** Goes off so many milliseconds after all others, less than an interval. */
  readonly lateMs?: number;
}

/**
 * Calls `run` whenever the monotonic clock of the machine, which all processes share, passes a multiple of `intervalMs`, or is `lateMs` past
 * it. What was missed while this process was held up is not made up for. Answers how to stop it.
 */
export function alignedInterval(
  intervalMs: number,
  run: () => void,
  { passive = false, lateMs = 0 }: Alignment = {},
): () => void {
  let timer: NodeJS.Timeout;
  const schedule = (): void => {
    timer = alignedTimeout(intervalMs, next, lateMs);
    if (passive) timer.unref();
  };
  const next = (): void => {
    schedule();
    run();
  };
  schedule();
  return () => clearTimeout(timer);
}

/** Once, in an interval or so. */
export function alignedTimeout(intervalMs: number, run: () => void, lateMs = 0): NodeJS.Timeout {
  return setTimeout(run, untilNext(intervalMs, monotonicMs() - lateMs));
}

/** clock_gettime(2) CLOCK_MONOTONIC, milliseconds since the machine started. */
function monotonicMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1_000 + nanoseconds / 1_000_000;
}

/** Between a quarter of an interval and five: a timer that goes off a little early must not go off twice. */
export function untilNext(intervalMs: number, nowMs: number): number {
  const left = intervalMs - (nowMs % intervalMs);
  return left < intervalMs / 4 ? left + intervalMs : left;
}
