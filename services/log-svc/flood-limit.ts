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
  return new Bucket(nowMs);
}

/** A class, for what its closures would take: there is one for each file of each container. */
class Bucket implements FloodLimit {
  readonly #nowMs: () => number;
  #room = FLOOD_BURST_BYTES;
  #filledMs: number;
  #lost = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
    this.#filledMs = nowMs();
  }

  take(bytes: number): boolean {
    this.#fill();
    if (this.#lost > 0 ? !this.#isAgain() : this.#room < bytes) {
      this.#lost += bytes;
      return false;
    }
    this.#room -= bytes;
    return true;
  }

  leftOut(): number | undefined {
    this.#fill();
    return this.#lost > 0 && this.#isAgain() ? this.close() : undefined;
  }

  close(): number | undefined {
    const told = this.#lost;
    this.#lost = 0;
    return told === 0 ? undefined : told;
  }

  #fill(): void {
    const now = this.#nowMs();
    this.#room = Math.min(FLOOD_BURST_BYTES, this.#room + ((now - this.#filledMs) / 1000) * FLOOD_RATE_BYTES);
    this.#filledMs = now;
  }

  #isAgain(): boolean {
    return this.#room >= FLOOD_BURST_BYTES * AGAIN_SHARE;
  }
}
