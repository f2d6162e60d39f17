// How much of one source is kept when it never stops: a bucket that fills again while it is quiet. Pure.

export interface FloodLimit {
  /** False: leave them out, they are counted. */
  take(bytes: number): boolean;
  /** How many were left out, once that has an end: then it starts from nothing. Undefined: none were, or it goes on. */
  leftOut(): number | undefined;
  /** As `leftOut`, also when it goes on. */
  close(): number | undefined;
}

/** Bytes a second for good, and at once after a while. Of a log that people read this is a lot; of a disk that wears it is not little. */
export const FLOOD_RATE_BYTES = 256 * 1024;
export const FLOOD_BURST_BYTES = 4 * 1024 * 1024;
/** Of the burst, before the source is heard again: so that it is cut into few pieces. */
const AGAIN_SHARE = 0.25;

/** `nowMs` is a monotonic clock. */
export function createFloodLimit(nowMs: () => number): FloodLimit {
  let room = FLOOD_BURST_BYTES;
  let filledMs = nowMs();
  let lost = 0;

  const fill = (): void => {
    const now = nowMs();
    room = Math.min(FLOOD_BURST_BYTES, room + ((now - filledMs) / 1000) * FLOOD_RATE_BYTES);
    filledMs = now;
  };
  const isAgain = (): boolean => room >= FLOOD_BURST_BYTES * AGAIN_SHARE;
  const close = (): number | undefined => {
    const told = lost;
    lost = 0;
    return told === 0 ? undefined : told;
  };
  return {
    take(bytes) {
      fill();
      if (lost > 0 ? !isAgain() : room < bytes) {
        lost += bytes;
        return false;
      }
      room -= bytes;
      return true;
    },
    leftOut() {
      fill();
      return lost > 0 && isAgain() ? close() : undefined;
    },
    close,
  };
}
