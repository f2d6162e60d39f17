// How long objects and revisions have been here: those that came while this service runs by a clock that nobody sets, all others by the times of
// their files. On a board that boots in 1970 what came right before its clock was set would be half a century old.
import type { Clock } from './clock.ts';

export interface Arrivals {
  /** Just now, also once more. */
  came(name: string): void;
  /** Milliseconds. `fileMs`: the time of its file, as it was read just now; of one from a clock that was ahead the answer is negative. */
  ageMs(name: string, fileMs: number): number;
  /** What came longer ago is old by its file as well. */
  forget(olderMs: number): void;
}

export function createArrivals(clock: Pick<Clock, 'nowMs' | 'elapsedMs'>): Arrivals {
  const start = { wallMs: clock.nowMs(), elapsedMs: clock.elapsedMs() };
  /** In the order of their coming, by the clock's elapsedMs. */
  const arrived = new Map<string, number>();
  return {
    came(name) {
      arrived.delete(name);
      arrived.set(name, clock.elapsedMs());
    },
    ageMs(name, fileMs) {
      const sinceMs = arrived.get(name);
      if (sinceMs !== undefined) return clock.elapsedMs() - sinceMs;
      // It was here when this service started: how the clock is set after that makes it no older.
      if (fileMs <= start.wallMs) return start.wallMs - fileMs + clock.elapsedMs() - start.elapsedMs;
      return clock.nowMs() - fileMs;
    },
    forget(olderMs) {
      const untilMs = clock.elapsedMs() - olderMs;
      for (const [name, sinceMs] of arrived) {
        if (sinceMs > untilMs) return;
        arrived.delete(name);
      }
    },
  };
}
