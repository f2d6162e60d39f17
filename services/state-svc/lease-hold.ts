// For how long containers that no revision knows have held their leases, and whose time is up. Pure.
//
// The time is counted while state-svc runs and written down as a duration: a difference of wall clock times would be wrong on a
// device whose clock starts in 1970, and a lease given back too early is an address lost. Time without power does not count.

export interface Held {
  readonly pool: string;
  readonly container: string;
  readonly interface: string;
}

/** Container → milliseconds for which nobody knew it. */
export type HoldTimes = ReadonlyMap<string, number>;

export interface HoldStep {
  readonly times: HoldTimes;
  /** Leases to be given back now. */
  readonly due: readonly Held[];
  /** Until the next one is due; undefined when nothing is held for anybody unknown. */
  readonly nextMs: number | undefined;
}

/** `passedMs`: since the last step; 0 for the first one of this process. A container that is known again starts over at its next absence. */
export function countHolds(
  before: HoldTimes,
  leases: readonly Held[],
  known: ReadonlySet<string>,
  passedMs: number,
  holdMs: number,
): HoldStep {
  const unknown = leases.filter(({ container }) => !known.has(container));
  const times = new Map<string, number>();
  for (const { container } of unknown) {
    const earlier = before.get(container);
    times.set(container, earlier === undefined ? 0 : earlier + passedMs);
  }
  const due = unknown.filter(({ container }) => (times.get(container) ?? 0) >= holdMs);
  const waiting = [...times.values()].filter((heldMs) => heldMs < holdMs);
  return { times, due, nextMs: waiting.length === 0 ? undefined : holdMs - Math.max(...waiting) };
}
