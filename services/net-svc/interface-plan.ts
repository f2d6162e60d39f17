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
    // The last ones first: the first of a subnet takes the others along.
    ...others.toReversed().map((other) => ({
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

/** How far the inside of a container may be changed. */
export interface Reach {
  /** `exact`: what else there is goes. `enough`: what the container did beside it to its own namespace stays. */
  readonly strictness: 'exact' | 'enough';
  /** What it had from us last: of that goes what is asked for no more, also with `enough`. */
  readonly before?: readonly Lease[] | undefined;
}

/** Loopback up, then MAC, address and up of every lease's interface, then the default route through the first lease's gateway. */
export function changesInside(
  container: string,
  leases: readonly Lease[],
  inside: Inside,
  reach: Reach = { strictness: 'exact' },
): Step[] {
  const loopback = inside.links.find((link) => link.name === 'lo' && !link.up);
  const changes: Step[] = [];
  if (loopback !== undefined) {
    changes.push({ step: `bring up lo of ${container}`, message: changeLink(loopback.index, { up: true }) });
  }
  for (const [order, lease] of leases.entries()) {
    const link = inside.links.find((candidate) => candidate.name === lease.interface);
    if (link === undefined) throw new Error(`${lease.interface} of ${container} is gone right after it was made`);
    const own = interfaceChanges(lease, link, inside.addresses, reach);
    changes.push(...own);
    if (order > 0) continue;
    const route = { linkIndex: link.index, gateway: lease.gateway };
    // Changes of the link or its address may have taken its routes along.
    const routes = inside.routes.filter(({ linkIndex }) => own.length === 0 || linkIndex !== link.index);
    if (hasRoute(route, { ...inside, routes }, reach)) continue;
    const step = `add default route through ${lease.gateway} to ${container}`;
    changes.push({ step, message: replaceDefaultRoute(route) });
  }
  return changes;
}

/** Whether its default route is as it should be: with `enough`, or one of its own. */
function hasRoute(wanted: DefaultRoute, { links, routes }: Inside, { strictness, before = [] }: Reach): boolean {
  const has = (linkIndex: number | undefined, gateway: string | undefined): boolean =>
    routes.some((route) => route.linkIndex === linkIndex && route.gateway === gateway);
  if (has(wanted.linkIndex, wanted.gateway)) return true;
  if (strictness === 'exact') return false;
  const [first] = before;
  const link = links.find(({ name }) => name === first?.interface);
  return routes.length > 0 && !has(link?.index, first?.gateway);
}

function interfaceChanges(
  lease: Lease,
  link: InsideLink,
  addresses: readonly InterfaceAddress[],
  { strictness, before = [] }: Reach,
): Step[] {
  const name = `${lease.interface} of ${lease.container}`;
  const wanted = { linkIndex: link.index, address: lease.address, prefixLength: lease.prefixLength };
  const changes: Step[] = [];
  if (link.mac !== lease.mac) {
    changes.push({ step: `set MAC ${lease.mac} on ${name}`, message: changeLink(link.index, { mac: lease.mac }) });
  }
  const former = before.filter((had) => had.interface === lease.interface);
  const isToGo = ({ address, prefixLength }: InterfaceAddress): boolean =>
    strictness === 'exact' || former.some((had) => had.address === address && had.prefixLength === prefixLength);
  changes.push(...addressChanges(wanted, addresses, `of ${name}`, isToGo));
  if (!link.up) {
    changes.push({ step: `have ${name} announced`, message: announceChanges(link.index) });
    changes.push({ step: `bring up ${name}`, message: changeLink(link.index, { up: true }) });
  } else if (link.isUnannounced === true) {
    changes.push({ step: `have ${name} announced`, message: announceChanges(link.index) });
    changes.push({ step: `announce ${name}`, message: changeLink(link.index, { mac: lease.mac }) });
  }
  return changes;
}
