// Addresses that must stay taken while another revision runs, so that the one before can come back to them. Pure.
import type { Revision } from '../../shared/revision/revision.ts';
import type { Reservation } from '../../shared/schema/network.ts';

/**
 * Reservations of `rollback` for containers that `running` does not have, in pools that both have alike, as far as `running` does
 * not give the same address to somebody else.
 */
export function heldReservations(running: Revision, rollback: Revision): readonly Reservation[] {
  const pools = new Map(running.pools.map(({ name, subnet }) => [name, subnet]));
  const alike = new Set(
    rollback.pools.filter(({ name, subnet }) => pools.get(name) === subnet).map(({ name }) => name),
  );
  const present = new Set(running.containers.map(({ name }) => name));
  const taken = new Set(running.reservations.map(({ pool, address }) => `${pool} ${address}`));
  return rollback.reservations.filter(
    ({ pool, container, address }) => alike.has(pool) && !present.has(container) && !taken.has(`${pool} ${address}`),
  );
}
