// One timer for the deadlines of many calls: one for each of them costs more than the rest of their bookkeeping.

export interface CallDeadlines {
  /** Somebody waits until `atMs`, as performance.now() counts; keeps the process alive until `rest`. */
  add(atMs: number): void;
  /** Nobody waits any more: the timer may go off once more for nothing, but keeps no process alive. */
  rest(): void;
}

/** setTimeout takes no more. */
const LONGEST_MS = 2 ** 31 - 1;

/** `onDue` is called at every deadline that was added or a little later, and answers the next one, Infinity for none. */
export function createCallDeadlines(onDue: (nowMs: number) => number): CallDeadlines {
  let timer: NodeJS.Timeout | undefined;
  let dueAtMs = Number.POSITIVE_INFINITY;
  let isResting = true;

  const arm = (atMs: number, nowMs: number): void => {
    dueAtMs = atMs;
    timer = setTimeout(goOff, Math.min(LONGEST_MS, Math.max(1, Math.ceil(atMs - nowMs))));
    if (isResting) timer.unref();
  };

  const goOff = (): void => {
    timer = undefined;
    dueAtMs = Number.POSITIVE_INFINITY;
    const nowMs = performance.now();
    const nextMs = onDue(nowMs);
    // It may have been armed meanwhile.
    if (nextMs < dueAtMs) restart(nextMs, nowMs);
  };

  const restart = (atMs: number, nowMs: number): void => {
    clearTimeout(timer);
    arm(atMs, nowMs);
  };

  return {
    add(atMs) {
      if (isResting) timer?.ref();
      isResting = false;
      if (atMs < dueAtMs) restart(atMs, performance.now());
    },
    rest() {
      isResting = true;
      timer?.unref();
    },
  };
}
