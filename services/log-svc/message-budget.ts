// How much of what a container says is kept: a burst, then a rate; what is above is counted. Pure.
export interface Limits {
  readonly burstBytes: number;
  readonly bytesPerSecond: number;
  /** Between two reports of what was dropped. */
  readonly reportMs: number;
}

export const LIMITS: Limits = { burstBytes: 1024 * 1024, bytesPerSecond: 256 * 1024, reportMs: 1_000 };

/** What a line takes beside its text: time, level, names. Also makes empty messages cost something. */
const MESSAGE_BYTES = 64;

export interface Dropped {
  readonly messages: number;
  /** Since the first of them. */
  readonly forMs: number;
}

export interface MessageBudget {
  /** Whether there is anything left. The last message that is let in may go into debt. */
  isOpen(nowMs: number): boolean;
  spend(bytes: number): void;
  drop(nowMs: number): void;
  /** Dropped and not reported yet; undefined when there is nothing. */
  pending(nowMs: number): Dropped | undefined;
  /** As `pending`, once it is time; forgets it. */
  takeReport(nowMs: number, isLast: boolean): Dropped | undefined;
}

/** All times are of one monotonic clock. */
export function createBudget({ burstBytes, bytesPerSecond, reportMs }: Limits): MessageBudget {
  let left = burstBytes;
  let atMs: number | undefined;
  let dropped = 0;
  let sinceMs = 0;

  const pending = (nowMs: number): Dropped | undefined =>
    dropped === 0 ? undefined : { messages: dropped, forMs: Math.round(nowMs - sinceMs) };
  return {
    isOpen(nowMs) {
      const passedMs = Math.max(0, nowMs - (atMs ?? nowMs));
      left = Math.min(burstBytes, left + (passedMs * bytesPerSecond) / 1000);
      atMs = nowMs;
      return left > 0;
    },
    spend(bytes) {
      left -= bytes + MESSAGE_BYTES;
    },
    drop(nowMs) {
      if (dropped === 0) sinceMs = nowMs;
      dropped += 1;
    },
    pending,
    takeReport(nowMs, isLast) {
      if (dropped === 0 || (!isLast && nowMs - sinceMs < reportMs)) return undefined;
      const report = pending(nowMs);
      dropped = 0;
      return report;
    },
  };
}
