// A timer of many processes that goes off in all of them at once: the tree wakes a few times a second instead of a few times for each
// process, and the processor sleeps in between.
import process from 'node:process';

/**
 * Calls `run` whenever the monotonic clock of the machine, which all processes share, passes a multiple of `intervalMs`. What was missed
 * while this process was held up is not made up for. Keeps the process alive; `passive` does not. Answers how to stop it.
 */
export function alignedInterval(intervalMs: number, run: () => void, passive = false): () => void {
  let timer: NodeJS.Timeout;
  const schedule = (): void => {
    timer = setTimeout(
      () => {
        schedule();
        run();
      },
      untilNext(intervalMs, monotonicMs()),
    );
    if (passive) timer.unref();
  };
  schedule();
  return () => clearTimeout(timer);
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
