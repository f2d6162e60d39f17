// Time as the rest of state-svc sees it, so that tests can hold it in their hands.

export interface Clock {
  /** Milliseconds since 1970-01-01 UTC; may jump when the device's clock is set, so durations are never computed from it alone. */
  nowMs(): number;
  /** Milliseconds since some moment before the machine's boot; never jumps, and the same for every process until the next boot. */
  elapsedMs(): number;
  /** Runs `run` once after `delayMs`; the answer takes it back. Not touched by jumps of the wall clock. */
  after(delayMs: number, run: () => void): () => void;
}

/** The longest delay that Node's timers keep (2^31 - 1 ms, 24.8 days); beyond it they fire at once. */
const TIMER_MS = 2_147_483_647;

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  // CLOCK_MONOTONIC of clock_gettime(2), which performance.now() counts from the start of the process.
  elapsedMs: () => Number(process.hrtime.bigint()) / 1e6,
  after(delayMs, run) {
    let timer: NodeJS.Timeout | undefined;
    const wait = (leftMs: number): void => {
      const partMs = Math.min(leftMs, TIMER_MS);
      timer = setTimeout(() => (leftMs > partMs ? wait(leftMs - partMs) : run()), partMs);
    };
    wait(Math.max(delayMs, 0));
    return () => clearTimeout(timer);
  },
};

/** Resolves after `delayMs`. */
export function sleep(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => clock.after(delayMs, resolve));
}
