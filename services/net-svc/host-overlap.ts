// What the machine uses beside the pools, and which pools are in its way: not made when they are new, told in health when they
// stand already, since an uplink may bring such a subnet any time (DHCP).

import { formatIpv4, parseIpv4 } from '../../shared/ipv4/address.ts';
import { mustParseSubnet } from '../../shared/ipv4/subnet.ts';
import { textIfThere } from '../../shared/kernel/text-if-there.ts';
import type { Logger } from '../../shared/log/logger.ts';
import {
  type HostSubnet,
  nameServersOf,
  type Overlap,
  overlapMessage,
  overlapsWithHost,
} from '../../shared/revision/host-overlap.ts';
import type { HealthReason } from '../../shared/schema/health.ts';
import type { Lease, Pool } from '../../shared/schema/network.ts';
import { lookUpIndex, withHost } from './host-links.ts';
import { isSameAddress, type LentAddresses } from './lent-addresses.ts';
import { isBridgeAlias } from './link-names.ts';
import {
  decodeAddress,
  decodeRoute,
  dumpAddresses,
  dumpRoutes,
  type InterfaceAddress,
  type Route,
} from './rtnetlink-address.ts';
import type { Link } from './rtnetlink-link.ts';

/** The second is where systemd-resolved keeps what it was told; the first then names only itself. */
export const RESOLV_CONFS = ['/etc/resolv.conf', '/run/systemd/resolve/resolv.conf'];

export interface HostOverlaps {
  /**
   * Of pools that the kernel does not have yet: these must not be made. A pool whose bridge has its gateway already is
   * running; taking it from its containers would be worse than what it hides. `servers`: name servers that are containers of these
   * pools, and in nobody's way; as told last where it is undefined. Throws NetFailure.
   */
  inTheWay(pools: readonly Pool[], servers?: readonly string[]): readonly Overlap[];
  /** Compares anew and says in the log what came and went since. What is there now is in `reasons`. Throws NetFailure. */
  look(pools: readonly Pool[]): void;
  reasons(): readonly HealthReason[];
}

/** A revision that would cut the machine off; nothing was touched. */
export class PoolsOverlap extends Error {
  readonly overlaps: readonly Overlap[];

  constructor(overlaps: readonly Overlap[]) {
    super(overlaps.map(overlapMessage).join('; '));
    this.overlaps = overlaps;
  }
}

export interface OverlapContext {
  readonly log: Logger;
  /** `warning`: none is in the way. */
  readonly severity: 'error' | 'warning';
  /** Hears of all there are, whenever they change. */
  readonly announce: (overlaps: readonly Overlap[]) => void;
  readonly resolvConfs?: readonly string[];
  /** What bridges of others have from us: the machine's own it is not. */
  readonly lent: LentAddresses;
  /** Of containers that are attached. */
  readonly leases: () => readonly Pick<Lease, 'address'>[];
}

export function createHostOverlaps({
  log,
  severity,
  announce,
  resolvConfs = RESOLV_CONFS,
  lent,
  leases,
}: OverlapContext): HostOverlaps {
  let present: readonly Overlap[] = [];
  /** Name servers that containers are, also while one restarts. */
  let own = new Set<string>();

  const look = (): Host => {
    const host = readHost(resolvConfs);
    const held = new Set(leases().map(({ address }) => address));
    for (const { server = '' } of host.nameServers) if (held.has(server)) own.add(server);
    return { ...host, nameServers: host.nameServers.filter(({ server = '' }) => !own.has(server)) };
  };

  return {
    inTheWay(all, servers) {
      if (servers !== undefined) own = new Set(servers);
      const pools = all.filter(isApart);
      if (pools.length === 0 || severity === 'warning') return [];
      const host = look();
      const fresh = pools.filter((pool) => !stands(pool, host));
      return overlapsWithHost(fresh, hostSubnets(pools, host, lent.list()));
    },
    look(all) {
      const pools = all.filter(isApart);
      const host = pools.length === 0 ? undefined : look();
      const now = host === undefined ? [] : overlapsWithHost(pools, hostSubnets(pools, host, lent.list()));
      const came = without(now, present);
      const went = without(present, now);
      for (const overlap of came) log.warn(overlapMessage(overlap));
      for (const { pool, with: other } of went) log.info(`pool '${pool}' is clear of ${other} again`);
      present = now;
      if (came.length + went.length > 0) announce(now);
    },
    reasons: () =>
      present.map((overlap) => ({
        code: 'POOL_OVERLAPS',
        subject: `pool ${overlap.pool}`,
        message: overlapMessage(overlap),
      })),
  };
}

/** A macvlan pool is a part of the network that its parent is in, and overlaps it on purpose. */
const isApart = ({ type }: Pool): boolean => type === 'bridge';

interface Host {
  /** Those with an address or a route. */
  readonly links: readonly Link[];
  readonly addresses: readonly InterfaceAddress[];
  readonly routes: readonly Route[];
  readonly nameServers: readonly HostSubnet[];
}

function readHost(resolvConfs: readonly string[]): Host {
  const kernel = withHost((host) => {
    const addresses = host.dump('list addresses', dumpAddresses()).map(decodeAddress);
    const routes = host.dump('list routes', dumpRoutes()).flatMap((payload) => decodeRoute(payload) ?? []);
    // Of hundreds of links, those of containers, only few have either.
    const indexes = new Set([...addresses, ...routes].map(({ linkIndex }) => linkIndex).filter((index) => index > 0));
    return { addresses, routes, links: [...indexes].flatMap((index) => lookUpIndex(host, index) ?? []) };
  });
  return { ...kernel, nameServers: resolvConfs.flatMap((path) => nameServersOf(textIfThere(path))) };
}

function stands(pool: Pool, { links, addresses }: Host): boolean {
  const bridge = links.find(({ name }) => name === pool.bridge);
  return addresses.some(({ linkIndex, address }) => linkIndex === bridge?.index && address === pool.gateway);
}

/** Without what is on bridges of pools: these, ours that an earlier revision left, and what such a revision lent to others'. */
function hostSubnets(
  pools: readonly Pool[],
  { links, addresses, routes, nameServers }: Host,
  lent: readonly InterfaceAddress[],
): readonly HostSubnet[] {
  const own = links.filter(({ name, alias }) => isBridgeAlias(alias) || pools.some(({ bridge }) => bridge === name));
  const ownIndexes = new Set(own.map(({ index }) => index));
  const nameOf = (index: number): string => links.find((link) => link.index === index)?.name ?? 'no single link';
  const foreignAddresses = addresses.filter(
    (address) => !ownIndexes.has(address.linkIndex) && !lent.some(isSameAddress(address)),
  );
  const ofAddresses = foreignAddresses.map(({ linkIndex, address, prefixLength }) => ({
    name: `address ${address}/${prefixLength} of ${nameOf(linkIndex)}`,
    subnet: subnetOf(address, prefixLength),
  }));
  const ofRoutes = routes
    .filter((route) => !ownIndexes.has(route.linkIndex) && !lent.some((address) => comesWith(route, address)))
    .map(({ linkIndex, destination, prefixLength }) => ({
      name: `route ${destination}/${prefixLength} by ${nameOf(linkIndex)}`,
      subnet: subnetOf(destination, prefixLength),
    }))
    // The route that comes with an address says nothing that the address does not say.
    .filter(({ subnet }) => !ofAddresses.some((of) => JSON.stringify(of.subnet) === JSON.stringify(subnet)));
  return [...ofAddresses, ...ofRoutes, ...nameServers];
}

function comesWith(route: Route, { linkIndex, address, prefixLength }: InterfaceAddress): boolean {
  if (route.linkIndex !== linkIndex || route.prefixLength !== prefixLength) return false;
  return JSON.stringify(subnetOf(route.destination, prefixLength)) === JSON.stringify(subnetOf(address, prefixLength));
}

function subnetOf(address: string, prefixLength: number) {
  const number = parseIpv4(address) ?? 0;
  const size = 2 ** (32 - prefixLength);
  return mustParseSubnet(`${formatIpv4(number - (number % size))}/${prefixLength}`);
}

function without(overlaps: readonly Overlap[], others: readonly Overlap[]): readonly Overlap[] {
  return overlaps.filter((one) => !others.some((other) => JSON.stringify(other) === JSON.stringify(one)));
}
