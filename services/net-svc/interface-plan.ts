// From what the kernel has to what leases ask for: the fewest changes, in an order that works. Pure.
import type { Lease } from '../../shared/schema/network.ts';
import type { MessageBody, Step } from './netlink-message.ts';
import {
  broadcastOf,
  type DefaultRoute,
  deleteAddress,
  type InterfaceAddress,
  replaceDefaultRoute,
  setAddress,
} from './rtnetlink-address.ts';
import { announceChanges, changeLink, type Link } from './rtnetlink-link.ts';

/** What is to be known of an interface of a container's to make it right. */
export type InsideLink = Pick<Link, 'index' | 'name' | 'mac' | 'up'> & {
  /** It came up without a word to its neighbours. */
  readonly isUnannounced?: boolean;
};

export interface Inside {
  readonly links: readonly InsideLink[];
  readonly addresses: readonly InterfaceAddress[];
  readonly routes: readonly DefaultRoute[];
}

/** These two are the ends of one veth, as each of them says. */
export function isPair(host: Link | undefined, inside: Link | undefined): boolean {
  if (host?.kind !== 'veth' || inside?.kind !== 'veth') return false;
  return host.peerElsewhere && inside.peerElsewhere && host.peer === inside.index && inside.peer === host.index;
}

/** What the host side of a pair lacks. */
export function changesOutside(host: Link, bridge: Link, alias: string): Step[] {
  const changes: Step[] = [];
  const add = (what: string, message: MessageBody): void => {
    changes.push({ step: `${what} ${host.name}`, message });
  };
  if (host.alias !== alias) add('mark', changeLink(host.index, { alias }));
  if (host.master !== bridge.index) add(`put into ${bridge.name}:`, changeLink(host.index, { master: bridge.index }));
  if (!host.up) add('bring up', changeLink(host.index, { up: true }));
  return changes;
}

/** Of one link: the kernel deletes the others of a subnet with the first of them. */
export const isSameSubnet =
  (one: InterfaceAddress) =>
  (other: InterfaceAddress): boolean =>
    one.prefixLength === other.prefixLength && broadcastOf(one) === broadcastOf(other);

const ALL = (): boolean => true;
const NONE = (): boolean => false;

/** The address this link should have; of others those go that `isToGo`. Steps are worded `… <suffix>`. */
export function addressChanges(
  wanted: InterfaceAddress,
  present: readonly InterfaceAddress[],
  suffix: string,
  isToGo: (address: InterfaceAddress) => boolean = NONE,
): Step[] {
  const here = present.filter((address) => address.linkIndex === wanted.linkIndex);
  const isWanted = (address: InterfaceAddress): boolean =>
    address.address === wanted.address && address.prefixLength === wanted.prefixLength;
  const others = here.filter((address) => !isWanted(address) && isToGo(address));
  if (others.length === 0 && here.some(isWanted)) return [];
  return [
    ...others.map((other) => ({
      step: `remove address ${other.address}/${other.prefixLength} ${suffix}`,
      message: deleteAddress(other),
    })),
    { step: `add address ${wanted.address}/${wanted.prefixLength} ${suffix}`, message: setAddress(wanted) },
    ...here
      .filter((address) => !isWanted(address) && !isToGo(address) && others.some(isSameSubnet(address)))
      .map((kept) => ({
        step: `put back address ${kept.address}/${kept.prefixLength} ${suffix}`,
        message: setAddress(kept),
      })),
  ];
}

/** `exact`: what else there is goes. `enough`: what a container did beside it to its own namespace stays. */
export type Strictness = 'exact' | 'enough';

/** Loopback up, then MAC, address and up of every lease's interface, then the default route through the first lease's gateway. */
export function changesInside(
  container: string,
  leases: readonly Lease[],
  inside: Inside,
  strictness: Strictness = 'exact',
): Step[] {
  const loopback = inside.links.find((link) => link.name === 'lo' && !link.up);
  const changes: Step[] = [];
  if (loopback !== undefined) {
    changes.push({ step: `bring up lo of ${container}`, message: changeLink(loopback.index, { up: true }) });
  }
  for (const [order, lease] of leases.entries()) {
    const link = inside.links.find((candidate) => candidate.name === lease.interface);
    if (link === undefined) throw new Error(`${lease.interface} of ${container} is gone right after it was made`);
    const own = interfaceChanges(lease, link, inside.addresses, strictness);
    changes.push(...own);
    if (order > 0) continue;
    const route = { linkIndex: link.index, gateway: lease.gateway };
    const present = inside.routes.some(
      ({ linkIndex, gateway }) =>
        strictness === 'enough' || (linkIndex === route.linkIndex && gateway === route.gateway),
    );
    // Changes of the link or its address may have taken the route along.
    if (present && own.length === 0) continue;
    const step = `add default route through ${lease.gateway} to ${container}`;
    changes.push({ step, message: replaceDefaultRoute(route) });
  }
  return changes;
}

function interfaceChanges(
  lease: Lease,
  link: InsideLink,
  addresses: readonly InterfaceAddress[],
  strictness: Strictness,
): Step[] {
  const name = `${lease.interface} of ${lease.container}`;
  const wanted = { linkIndex: link.index, address: lease.address, prefixLength: lease.prefixLength };
  const changes: Step[] = [];
  if (link.mac !== lease.mac) {
    changes.push({ step: `set MAC ${lease.mac} on ${name}`, message: changeLink(link.index, { mac: lease.mac }) });
  }
  changes.push(...addressChanges(wanted, addresses, `of ${name}`, strictness === 'exact' ? ALL : NONE));
  if (!link.up) {
    changes.push({ step: `have ${name} announced`, message: announceChanges(link.index) });
    changes.push({ step: `bring up ${name}`, message: changeLink(link.index, { up: true }) });
  } else if (link.isUnannounced === true) {
    changes.push({ step: `have ${name} announced`, message: announceChanges(link.index) });
    changes.push({ step: `announce ${name}`, message: changeLink(link.index, { mac: lease.mac }) });
  }
  return changes;
}
