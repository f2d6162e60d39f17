// For how long leases have been held that no revision asks for, and whose time is up. Pure.
//
// The time is counted while state-svc runs and written down as a duration: a difference of wall clock times would be wrong on a
// device whose clock starts in 1970, and a lease given back too early is an address lost. Time without power does not count.

export interface Held {
  readonly pool: string;
  readonly container: string;
  readonly interface: string;
}

/** Names have no slash. */
export const leaseName = ({ pool, container, interface: name }: Held): string => `${container}/${pool}/${name}`;

/** What the revisions that may run ask for. */
export interface Wanted {
  readonly containers: ReadonlySet<string>;
  /** `leaseName`s of these containers; one without any entry here keeps all that it has. */
  readonly leases: ReadonlyMap<string, ReadonlySet<string>>;
}

export function isWanted(lease: Held, { containers, leases }: Wanted): boolean {
  if (!containers.has(lease.container)) return false;
  return leases.get(lease.container)?.has(leaseName(lease)) ?? true;
}

/** `leaseName` → milliseconds for which nobody wanted it. */
export type HoldTimes = ReadonlyMap<string, number>;

export interface HoldStep {
  readonly times: HoldTimes;
  /** Leases to be given back now. */
  readonly due: readonly Held[];
  /** Until the next one is due; undefined when nothing is held that nobody wants. */
  readonly nextMs: number | undefined;
}

/** `passedMs`: since the last step; 0 for the first one of this process. What is wanted again starts over at its next absence. */
export function countHolds(
  before: HoldTimes,
  leases: readonly Held[],
  wanted: Wanted,
  passedMs: number,
  holdMs: number,
): HoldStep {
  const unknown = leases.filter((lease) => !isWanted(lease, wanted));
  const times = new Map<string, number>();
  for (const name of unknown.map(leaseName)) {
    const earlier = before.get(name);
    times.set(name, earlier === undefined ? 0 : earlier + passedMs);
  }
  const due = unknown.filter((lease) => (times.get(leaseName(lease)) ?? 0) >= holdMs);
  const waiting = [...times.values()].filter((heldMs) => heldMs < holdMs);
  return { times, due, nextMs: waiting.length === 0 ? undefined : holdMs - Math.max(...waiting) };
}
