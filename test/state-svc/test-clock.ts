// A clock that moves only when a test says so.
import type { Clock } from '../../services/state-svc/clock.ts';

export interface TestClock extends Clock {
  /** Fires what falls due within `ms`, in order, each at its own time. */
  advance(ms: number): void;
  /** The wall clock alone: the device's time is set. */
  jump(ms: number): void;
  /** Delays of the timers that are armed, ascending. */
  armed(): readonly number[];
}

export function createTestClock(startMs = 1_800_000_000_000): TestClock {
  let now = 0;
  let wallMs = startMs;
  let timers: { at: number; run: () => void }[] = [];
  const next = (until: number) => timers.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0];
  return {
    nowMs: () => wallMs + now,
    elapsedMs: () => now,
    after(delayMs, run) {
      const timer = { at: now + Math.max(0, delayMs), run };
      timers.push(timer);
      return () => {
        timers = timers.filter((each) => each !== timer);
      };
    },
    advance(ms) {
      const until = now + ms;
      for (let due = next(until); due !== undefined; due = next(until)) {
        const { at, run } = due;
        timers = timers.filter((each) => each !== due);
        now = at;
        run();
      }
      now = until;
    },
    jump(ms) {
      wallMs += ms;
    },
    armed: () => timers.map(({ at }) => at - now).sort((a, b) => a - b),
  };
}
