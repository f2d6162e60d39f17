// Which address a container interface gets. Pure: looks at one pool's leases and answers; nothing is changed here.
//
// 1. An address that was asked for, or that the revision reserves for this key.
// 2. The one it has; or had before a revision moved it, or fixed it for another (an update that was rolled back).
// 3. The lowest one never used; when there is none, the least recently released.
// Never the network's, the broadcast's, the gateway's, one of the machine's own on a macvlan's parent, one reserved for somebody else, or one in quarantine (see damage.ts).
import { formatIpv4, type Ipv4, macOf } from '../../shared/ipv4/address.ts';
import { subnetContains } from '../../shared/ipv4/subnet.ts';
import type { Bitmap } from './bitmap.ts';
import type { Origin } from './lease-line.ts';
import type { LeaseTable } from './lease-table.ts';
import { holderOf, isPresent, type PoolView, poolSize, whyUnusable } from './pool.ts';

export interface PoolLeases {
  readonly view: PoolView;
  readonly table: LeaseTable;
  /** Addresses, counted from the subnet's first, that nobody ever had and anybody may get. */
  readonly fresh: Bitmap;
  readonly quarantine: ReadonlySet<Ipv4>;
}

export interface Wish {
  readonly holder: string;
  readonly address: Ipv4 | undefined;
  readonly mac: string | undefined;
}

export interface Choice {
  readonly address: Ipv4;
  readonly origin: Origin;
  /** Undefined: derived from the address. */
  readonly mac: string | undefined;
}

export type Refusal =
  | { readonly code: 'POOL_EXHAUSTED'; readonly pool: string; readonly size: number; readonly holders: number }
  | { readonly code: 'ADDRESS_TAKEN'; readonly address: string; readonly holder: string }
  | { readonly code: 'ADDRESS_UNUSABLE'; readonly pool: string; readonly address: string; readonly reason: string }
  | { readonly code: 'MAC_TAKEN'; readonly mac: string; readonly holder: string };

export type Decision = { readonly ok: true; readonly choice: Choice } | { readonly ok: false; readonly error: Refusal };

/** Said as the holder of an address that nobody may have before somebody has looked at the journal. */
export const DAMAGE_HOLDER = '(unknown: a damaged part of the lease journal)';

export function decide(leases: PoolLeases, wish: Wish): Decision {
  const wanted = wish.address ?? leases.view.reservedFor.get(wish.holder);
  const refusal = wanted === undefined ? undefined : refuseAddress(leases, wish.holder, wanted);
  if (refusal !== undefined) return { ok: false, error: refusal };
  const address = wanted ?? dynamicAddress(leases, wish.holder);
  if (address === undefined) return { ok: false, error: exhausted(leases) };
  const taken = wish.mac === undefined ? undefined : refuseMac(leases, wish.holder, address, wish.mac);
  if (taken !== undefined) return { ok: false, error: taken };
  const mac = wish.mac === macOf(address) ? undefined : wish.mac;
  return { ok: true, choice: { address, origin: wanted === undefined ? 'dynamic' : 'static', mac } };
}

/** Who binds `address` against `holder`; undefined when nobody does. */
export function bindingHolder(
  leases: Pick<PoolLeases, 'view' | 'table'>,
  holder: string,
  address: Ipv4,
): string | undefined {
  const slot = leases.table.slotOf(address);
  if (slot === undefined) return undefined;
  const lease = leases.table.read(slot);
  if (lease.state === 'released' || lease.holder === holder) return undefined;
  if (!isPresent(leases.view, lease.holder)) return undefined;
  // Addresses that the revision gave, it may give to another: only dynamic leases bind for good, and those of holders that it moves do not.
  if (lease.state === 'static' && leases.view.reservedFor.get(lease.holder) !== address) return undefined;
  const elsewhere = leases.view.reservedFor.get(lease.holder);
  return elsewhere !== undefined && elsewhere !== address ? undefined : lease.holder;
}

function refuseAddress(leases: PoolLeases, holder: string, address: Ipv4): Refusal | undefined {
  const { view, table } = leases;
  const text = formatIpv4(address);
  const reason = whyUnusable(view, address);
  if (reason !== undefined) return { code: 'ADDRESS_UNUSABLE', pool: view.pool.name, address: text, reason };
  const reservation = view.reservedBy.get(address);
  const reservedFor = reservation && holderOf(reservation);
  if (reservedFor !== undefined && reservedFor !== holder) {
    return { code: 'ADDRESS_TAKEN', address: text, holder: reservedFor };
  }
  // Without a reservation of its own, an asked-for address gives way to any lease.
  const slot = table.slotOf(address);
  const lease = slot === undefined ? undefined : table.read(slot);
  const held = lease !== undefined && lease.state !== 'released' && lease.holder !== holder;
  const binding = held && reservedFor === undefined ? lease.holder : bindingHolder(leases, holder, address);
  if (binding !== undefined) return { code: 'ADDRESS_TAKEN', address: text, holder: binding };
  const own = lease?.holder === holder && lease.state !== 'released';
  if (leases.quarantine.has(address) && !own) return { code: 'ADDRESS_TAKEN', address: text, holder: DAMAGE_HOLDER };
  return undefined;
}

function dynamicAddress(leases: PoolLeases, holder: string): Ipv4 | undefined {
  const { view, table, fresh } = leases;
  const current = slotFor(leases, holder, table.heldBy(holder));
  const home = slotFor(leases, holder, table.homeOf(holder));
  // What it has because an earlier revision fixed it yields to what it chose itself before.
  if (current !== undefined && !(current.state === 'static' && home !== undefined)) return current.address;
  if (home !== undefined) return home.address;
  const lowest = fresh.lowest();
  if (lowest !== undefined) return view.subnet.first + lowest;
  const slot = table.leastRecentlyReleased();
  return slot === undefined ? undefined : table.read(slot).address;
}

/** The slot's lease when its address may (still) be this holder's. */
function slotFor(
  leases: PoolLeases,
  holder: string,
  slot: number | undefined,
): ReturnType<LeaseTable['read']> | undefined {
  if (slot === undefined) return undefined;
  const lease = leases.table.read(slot);
  const reservation = leases.view.reservedBy.get(lease.address);
  if (whyUnusable(leases.view, lease.address) !== undefined) return undefined;
  const reservedFor = reservation && holderOf(reservation);
  if (reservedFor !== undefined && reservedFor !== holder && isPresent(leases.view, reservedFor)) return undefined;
  if (lease.state !== 'released' && lease.holder === holder) return lease;
  // Its home, which a revision may have fixed for another meanwhile.
  if (bindingHolder(leases, holder, lease.address) !== undefined) return undefined;
  return leases.quarantine.has(lease.address) ? undefined : lease;
}

function exhausted(leases: PoolLeases): Refusal {
  const size = poolSize(leases.view);
  const quarantined = [...leases.quarantine].filter((address) => {
    const slot = leases.table.slotOf(address);
    const idle = slot === undefined || leases.table.read(slot).state === 'released';
    return idle && whyUnusable(leases.view, address) === undefined && !leases.view.reservedBy.has(address);
  });
  return { code: 'POOL_EXHAUSTED', pool: leases.view.pool.name, size, holders: size - quarantined.length };
}

function refuseMac(leases: PoolLeases, holder: string, address: Ipv4, mac: string): Refusal | undefined {
  const slot = leases.table.slotWithMac(mac);
  const other = slot === undefined ? undefined : leases.table.read(slot).holder;
  if (other !== undefined && other !== holder && bindsMac(leases.view, other, mac)) {
    return { code: 'MAC_TAKEN', mac, holder: other };
  }
  const derivedFrom = addressOfDerived(mac);
  if (derivedFrom === undefined || derivedFrom === address || !subnetContains(leases.view.subnet, derivedFrom))
    return undefined;
  return { code: 'MAC_TAKEN', mac, holder: `whoever has ${formatIpv4(derivedFrom)}` };
}

/** A MAC is set by revisions alone, and is who has it by the present one's. */
function bindsMac({ interfaces }: PoolView, holder: string, mac: string): boolean {
  return interfaces === undefined || interfaces.get(holder) === mac;
}

function addressOfDerived(mac: string): Ipv4 | undefined {
  const match = /^02:00:(..):(..):(..):(..)$/.exec(mac);
  return match === null ? undefined : Number.parseInt(match.slice(1).join(''), 16);
}
