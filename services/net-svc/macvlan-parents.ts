// The host's links that macvlan pools are on: looked up, refused where they cannot be parents, and told of in health.
import type { HealthReason } from '../../shared/schema/health.ts';
import type { Lease, Pool } from '../../shared/schema/network.ts';
import { type HostView, listLinks, liveView, withHost } from './host-links.ts';
import { isBridgeAlias } from './link-names.ts';
import { asNetFailure, NetFailure } from './net-failure.ts';
import { decodeAddress, dumpAddresses } from './rtnetlink-address.ts';
import type { Link } from './rtnetlink-link.ts';

/** Throws NetFailure that names the pool where its parent is missing. */
export function findParent(find: HostView['find'], parent: string, pool: string): Link {
  const link = find(parent);
  if (link === undefined) throw new NetFailure(`find parent ${parent} of pool ${pool}`, missing(parent));
  return link;
}

const missing = (parent: string): string =>
  `there is no link ${parent} on this machine; plug it in or name another parent`;

/**
 * Throws NetFailure where one is a bridge of ours: what a revision no longer names goes, and its macvlans with it. One that is missing
 * is the business of its own containers alone.
 */
export function checkParents(allPools: readonly Pool[]): void {
  const pools = macvlanPools(allPools);
  if (pools.length === 0) return;
  withHost((host) => {
    const { find } = liveView(host);
    for (const { bridge, name } of pools) {
      const parent = find(bridge);
      if (parent === undefined || !isBridgeAlias(parent.alias)) continue;
      const reason = `${bridge} is a bridge that Berth made for a pool; name a link of the machine's own`;
      throw new NetFailure(`use parent ${bridge} of pool ${name}`, reason);
    }
  });
}

const macvlanPools = (pools: readonly Pool[]): Pool[] => pools.filter(({ type }) => type === 'macvlan');

export interface HostAddress {
  readonly link: string;
  /** a.b.c.d */
  readonly address: string;
}

/** What the machine has of these links. Throws NetFailure. */
export function hostAddresses(names: readonly string[]): { addresses: HostAddress[]; missing: string[] } {
  return withHost((host) => {
    const links = listLinks(host).filter(({ name }) => names.includes(name));
    const present = host.dump('list addresses', dumpAddresses()).map(decodeAddress);
    const addresses = present.flatMap(({ linkIndex, address }) => {
      const link = links.find(({ index }) => index === linkIndex)?.name;
      return link === undefined ? [] : [{ link, address }];
    });
    return { addresses, missing: names.filter((name) => !links.some((link) => link.name === name)) };
  });
}

/** Of these pools, as of now. Asks the kernel nothing where none is on a parent. Throws NetFailure. */
export function missingParents(pools: readonly Pool[]): string[] {
  const parents = macvlanPools(pools).map(({ bridge }) => bridge);
  if (parents.length === 0) return [];
  const present = withHost(listLinks).map(({ name }) => name);
  return [...new Set(parents)].filter((parent) => !present.includes(parent)).sort();
}

/** As of now. `leases`: of attached containers. */
export function parentHealth(pools: readonly Pool[], leases: readonly Lease[]): HealthReason[] {
  const parents = macvlanPools(pools);
  if (parents.length === 0) return [];
  try {
    const { addresses } = hostAddresses(parents.map(({ bridge }) => bridge));
    return parentReasons(parents, leases, withHost(listLinks), addresses);
  } catch (error) {
    const { step, message } = asNetFailure('look at parents', error);
    return [{ code: 'PARENT_UNKNOWN', subject: step, message }];
  }
}

/** Of `pools`, all macvlan: a parent that is gone, down or without a cable, and what it has that a container has too. Pure. */
export function parentReasons(
  pools: readonly Pool[],
  leases: readonly Lease[],
  links: readonly Pick<Link, 'name' | 'up' | 'running'>[],
  addresses: readonly HostAddress[],
): HealthReason[] {
  return pools.flatMap(({ name, bridge: parent }) => {
    const subject = `pool ${name}`;
    const problem = parentProblem(
      parent,
      links.find((link) => link.name === parent),
    );
    const own = addresses.filter(({ link }) => link === parent).map(({ address }) => address);
    return [
      ...(problem === undefined ? [] : [{ ...problem, subject, message: `pool '${name}': ${problem.message}` }]),
      ...leases
        .filter(({ pool, address }) => pool === name && own.includes(address))
        .map(({ container, address }) => ({
          code: 'ADDRESS_IN_USE',
          subject: `container ${container}`,
          message: `${address} of '${container}' in pool '${name}' is an address of this machine on ${parent} too; give the machine or the container another`,
        })),
    ];
  });
}

function parentProblem(parent: string, link: Pick<Link, 'up' | 'running'> | undefined) {
  if (link === undefined) return { code: 'PARENT_GONE', message: missing(parent) };
  if (!link.up) return { code: 'PARENT_DOWN', message: `its parent ${parent} is down; bring it up` };
  if (!link.running) return { code: 'PARENT_DOWN', message: `its parent ${parent} has no carrier; plug its cable in` };
  return undefined;
}
