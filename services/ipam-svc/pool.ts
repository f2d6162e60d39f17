// A pool as the revision defines it, ready for use: which addresses may be given at all, and which are reserved for whom. Pure.
import { type Ipv4, mustParseIpv4, parseIpv4 } from '../../shared/ipv4/address.ts';
import { mustParseSubnet, type Subnet, subnetContains, subnetSize } from '../../shared/ipv4/subnet.ts';
import { checkPools } from '../../shared/revision/pool-rules.ts';
import type { Problem } from '../../shared/revision/revision.ts';
import type { Pool, Reservation } from '../../shared/schema/network.ts';
import type { Configuration, LeaseKey } from './journal-format.ts';

export interface PoolView {
  readonly pool: Pool;
  readonly subnet: Subnet;
  readonly gateway: Ipv4;
  readonly reservedBy: ReadonlyMap<Ipv4, Reservation>;
  /** The address that the revision reserves for `container/interface`. */
  readonly reservedFor: ReadonlyMap<string, Ipv4>;
  /** MACs that the revision sets for its interfaces, null for those whose MAC is derived; undefined: it was not told which it has. */
  readonly interfaces: ReadonlyMap<string, string | null> | undefined;
}

export function holderOf(key: { readonly container: string; readonly interface: string }): string {
  return `${key.container}/${key.interface}`;
}

/** Whether the revision has this interface. Others have leases and reservations of revisions that may come back. */
export function isPresent({ interfaces }: Pick<PoolView, 'interfaces'>, holder: string): boolean {
  return interfaces?.has(holder) ?? true;
}

/** The key that `holderOf` made this of. */
export function keyOf(pool: string, holder: string): LeaseKey {
  const [container = '', name = ''] = holder.split('/');
  return { pool, container, interface: name };
}

/** The pool with what concerns it, and of the reservations those that it can keep. */
export function viewPool(
  pool: Pool,
  { reservations, interfaces }: Pick<Configuration, 'reservations' | 'interfaces'>,
): PoolView {
  const subnet = mustParseSubnet(pool.subnet);
  const gateway = mustParseIpv4(pool.gateway);
  const reservedBy = new Map<Ipv4, Reservation>();
  const reservedFor = new Map<string, Ipv4>();
  for (const reservation of reservations) {
    const address = mustParseIpv4(reservation.address);
    if (reservation.pool !== pool.name || whyUnusable({ pool, subnet, gateway }, address) !== undefined) continue;
    reservedBy.set(address, reservation);
    reservedFor.set(holderOf(reservation), address);
  }
  const own = interfaces === undefined ? undefined : new Map(Object.entries(interfaces[pool.name] ?? {}));
  return { pool, subnet, gateway, reservedBy, reservedFor, interfaces: own };
}

/** Addresses of this machine in the subnet of a macvlan pool, beside the gateway. */
export function hostAddressesOf({ pool, subnet, gateway }: Pick<PoolView, 'pool' | 'subnet' | 'gateway'>): Ipv4[] {
  const addresses = new Set((pool.hostAddresses ?? []).map(mustParseIpv4));
  return [...addresses].filter((address) => subnetContains(subnet, address) && address !== gateway);
}

/** Addresses that containers may have: all but the network's, the broadcast's, the gateway's and the machine's. Up to 16,777,213 (/8). */
export function poolSize(view: Pick<PoolView, 'pool' | 'subnet' | 'gateway'>): number {
  return subnetSize(view.subnet) - 3 - hostAddressesOf(view).length;
}

/** Why no container may ever have this address, as the end of a sentence; undefined when one may. */
export function whyUnusable(view: Pick<PoolView, 'pool' | 'subnet' | 'gateway'>, address: Ipv4): string | undefined {
  if (!subnetContains(view.subnet, address)) return `outside ${view.pool.subnet}`;
  if (address === view.gateway) return `the gateway of pool '${view.pool.name}'`;
  if (address === view.subnet.first) return `the network address of ${view.pool.subnet}`;
  if (address === view.subnet.last) return `the broadcast address of ${view.pool.subnet}`;
  if (hostAddressesOf(view).includes(address)) return `an address of this machine on '${view.pool.bridge}'`;
  return undefined;
}

export interface CheckedConfiguration {
  readonly problems: readonly Problem[];
  /** Legacy addresses, and those kept for a revision to come back to, that no pool can give away anyway; each a line for people. */
  readonly warnings: readonly string[];
  /** Two reservations of one address: the later one and who was first. */
  readonly clash: { readonly reservation: Reservation; readonly holder: string } | undefined;
}

/** Everything that can be said about a configuration without knowing the leases. */
export function checkConfiguration({ pools, reservations, interfaces }: Configuration): CheckedConfiguration {
  const problems = checkPools(pools.map((pool, index) => ({ path: `pools[${index}]`, pool })));
  if (problems.length > 0) return { problems, warnings: [], clash: undefined };
  const warnings: string[] = [];
  const views = new Map(pools.map((pool) => [pool.name, viewPool(pool, { reservations: [], interfaces })]));
  const addresses = new Map<string, Reservation>();
  const statics = new Map<string, string>();
  let clash: CheckedConfiguration['clash'];
  for (const [index, reservation] of reservations.entries()) {
    const path = `reservations[${index}]`;
    const problem = checkReservation(path, reservation, views, statics);
    const view = views.get(reservation.pool);
    // Nobody of this revision goes without an address for it.
    const isKept = view !== undefined && !isPresent(view, holderOf(reservation));
    if (problem !== undefined && (reservation.kind === 'legacy' || isKept)) warnings.push(problem.message);
    else if (problem !== undefined) problems.push(problem);
    const place = `${reservation.pool} ${reservation.address}`;
    const first = addresses.get(place);
    if (first === undefined) addresses.set(place, reservation);
    else if (holderOf(first) !== holderOf(reservation)) clash ??= { reservation, holder: holderOf(first) };
  }
  return { problems, warnings, clash: problems.length > 0 ? undefined : clash };
}

function checkReservation(
  path: string,
  reservation: Reservation,
  views: ReadonlyMap<string, PoolView>,
  statics: Map<string, string>,
): Problem | undefined {
  const view = views.get(reservation.pool);
  const who = `'${reservation.container}' asks for ${reservation.address}`;
  if (view === undefined) {
    return { path: `${path}.pool`, code: 'UNKNOWN_POOL', message: `${who} in the unknown pool '${reservation.pool}'` };
  }
  const reason = whyUnusable(view, parseIpv4(reservation.address) ?? 0);
  if (reason !== undefined) {
    return { path: `${path}.address`, code: 'ADDRESS_UNUSABLE', message: `${who}, which is ${reason}` };
  }
  if (reservation.kind === 'legacy') return undefined;
  const key = `${reservation.pool} ${holderOf(reservation)}`;
  const other = statics.get(key);
  statics.set(key, reservation.address);
  if (other === undefined || other === reservation.address) return undefined;
  return { path, code: 'TWO_ADDRESSES', message: `${who} and for ${other} on one interface in one pool` };
}
