// Which addresses lost journal records may have issued: these are never issued again. Pure.
//
// Why a bound exists: a dynamic lease takes the lowest never-used address that is not reserved, or, when there is none, the least
// recently released one, or the holder's own home. Statics are reserved by the revision, and stay so. So let k records be lost,
// U be the never-used addresses at that point of the journal, R those of them that were reserved.
// - If only leases were lost, they took among the k lowest of U without R.
// - If pools or reservations were lost too, at most k-1 leases were, and with r reservations among the lost bytes the m-th of them
//   took one of the m+r lowest of U: a lease skips only addresses that are taken or reserved.
// - The same k, counted from the front, bounds what they took of the released ones.
// Addresses that the revision reserved when the damage happened stay with whom they were reserved for. Not covered: two or more lost
// records that both released and gave out one and the same address of a pool that has no never-used address left, and an address that was
// asked for without being reserved (state-svc reserves every one it asks for).
import type { Ipv4 } from '../../shared/ipv4/address.ts';
import type { PoolLeases } from './allocator.ts';
import { SHORTEST_RECORD_BYTES, SHORTEST_RESERVATION_BYTES } from './journal-format.ts';
import { whyUnusable } from './pool.ts';

/** A frame of the broker has 64 KiB, so one `config` record that is simply gone had no more reservations than this. */
const MOST_RESERVATIONS = (64 * 1024) / SHORTEST_RESERVATION_BYTES;

export interface Loss {
  readonly records: number;
  readonly bytes: number;
}

/** How many of the lowest addresses may be gone in a pool that was not known when the records were lost: it takes one of them to define it. */
export function doubtfulAddresses({ records, bytes }: Loss): number {
  if (records < 2) return 0;
  const present = bytes >= records * SHORTEST_RECORD_BYTES;
  const reservations = present ? Math.floor(bytes / SHORTEST_RESERVATION_BYTES) : (records - 1) * MOST_RESERVATIONS;
  return records - 1 + reservations;
}

/** What the lost records may have issued in a pool that was known. */
export function addressesInDoubt(leases: Pick<PoolLeases, 'view' | 'table'>, loss: Loss): Ipv4[] {
  const { view, table } = leases;
  const lowest = collect(leases, loss.records, (address) => !view.reservedBy.has(address));
  const released = table.released().map((slot) => ({ slot, lease: table.read(slot) }));
  const front = released.slice(0, loss.records);
  const homes = loss.records === 0 ? [] : released.filter(({ slot }) => table.homeOwnerOf(slot) !== undefined);
  const taken = [...front, ...homes].map(({ lease }) => lease.address);
  return [...lowest, ...lowestNeverUsed(leases, doubtfulAddresses(loss)), ...taken];
}

/** Those of the `count` lowest never-used addresses that are not reserved. */
export function lowestNeverUsed(leases: Pick<PoolLeases, 'view' | 'table'>, count: number): Ipv4[] {
  return collect(leases, count, () => true).filter((address) => !leases.view.reservedBy.has(address));
}

function collect(
  { view, table }: Pick<PoolLeases, 'view' | 'table'>,
  count: number,
  counts: (address: Ipv4) => boolean,
): Ipv4[] {
  const found: Ipv4[] = [];
  for (let address = view.subnet.first; address <= view.subnet.last && found.length < count; address += 1) {
    const unused = table.slotOf(address) === undefined && whyUnusable(view, address) === undefined;
    if (unused && counts(address)) found.push(address);
  }
  return found;
}
