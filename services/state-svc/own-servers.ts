// Name servers of the machine that are containers of the revision, as one that serves names to the whole device: their pool hides
// nothing. In: what net-svc found in the way of pools; out: those addresses that a container has fixed or leased.
import type { Overlap } from '../../shared/revision/host-overlap.ts';
import type { Revision } from '../../shared/revision/revision.ts';
import { heldLeases } from './held-leases.ts';
import type { Ask, Peers } from './peers.ts';

/** Nobody is asked where no name server is in the way. */
export async function ownServers(
  overlaps: readonly Overlap[],
  { reservations, containers }: Pick<Revision, 'reservations' | 'containers'>,
  { ipam }: Pick<Peers, 'ipam'>,
  ask: Ask,
): Promise<string[]> {
  const wanted = overlaps.flatMap(({ pool, server }) => (server === undefined ? [] : [{ pool, server }]));
  if (wanted.length === 0) return [];
  const leases = await heldLeases(ipam, ask);
  const names = new Set(containers.map(({ name }) => name));
  const held = [...reservations, ...leases.filter(({ container }) => names.has(container))];
  return wanted
    .filter(({ pool, server }) => held.some((each) => each.pool === pool && each.address === server))
    .map(({ server }) => server);
}
