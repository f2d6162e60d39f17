// How long objects and revisions have been here: those that came while this service runs by a clock that nobody sets, all others by the times of
// their files. On a board that boots in 1970 what came right before its clock was set would be half a century old.
import type { Clock } from './clock.ts';

export interface Arrivals {
  /** Just now, also once more. */
  came(name: string): void;
  /** Milliseconds, since it was first asked for at least. `fileMs`: the time of its file, as it was read just now. */
  ageMs(name: string, fileMs: number): number;
  /** What came longer ago is old by its file as well. */
  forget(olderMs: number): void;
}

export function createArrivals(clock: Pick<Clock, 'nowMs' | 'elapsedMs'>): Arrivals {
  const start = { wallMs: clock.nowMs(), elapsedMs: clock.elapsedMs() };
  /** In the order of their coming, by the clock's elapsedMs. */
  const arrived = new Map<string, number>();
  /** When it was first asked for what has a time that is still to come. */
  const ahead = new Map<string, number>();
  return {
    came(name) {
      arrived.delete(name);
      ahead.delete(name);
      arrived.set(name, clock.elapsedMs());
    },
    ageMs(name, fileMs) {
      const sinceMs = arrived.get(name);
      if (sinceMs !== undefined) return clock.elapsedMs() - sinceMs;
      // It was here when this service started: how the clock is set after that makes it no older.
      if (fileMs <= start.wallMs) return start.wallMs - fileMs + clock.elapsedMs() - start.elapsedMs;
      const ageMs = clock.nowMs() - fileMs;
      if (ageMs >= 0) return ageMs;
      // Of a clock that was ahead, or is behind, as on a board whose clock starts over with each boot: it would stay for ever.
      const seenMs = ahead.get(name) ?? clock.elapsedMs();
      ahead.set(name, seenMs);
      return clock.elapsedMs() - seenMs;
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
