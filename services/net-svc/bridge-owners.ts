// Whose a bridge with our mark is: the host's, once somebody made it a part of the host's network (a network program that found the bridge it
// was to make, as we were first at boot). It is left to the host then: without the mark it is one that somebody else made.
import type { LentAddresses } from './lent-addresses.ts';
import { bridgeMac } from './link-names.ts';
import type { MarkedBridges } from './marked-bridges.ts';
import type { NetlinkSocket } from './netlink-socket.ts';
import type { InterfaceAddress } from './rtnetlink-address.ts';
import { changeLink, type Link } from './rtnetlink-link.ts';

/** LXC, Docker and libvirt put these into any bridge, for guests that come and go. */
const KINDS_OF_GUESTS = ['veth', 'tun'];

/** A port by which the host itself is connected. */
export function hasUplink(bridge: Link, links: readonly Link[]): boolean {
  return links.some(({ master, kind }) => master === bridge.index && !KINDS_OF_GUESTS.includes(kind));
}

/** Of bridges of ours. They get their MAC with their address, so it says which one that was, also when no pool names it any more. */
export const isGivenTo =
  (bridge: Link) =>
  ({ linkIndex, address }: InterfaceAddress): boolean =>
    linkIndex === bridge.index && bridgeMac(address) === bridge.mac;

/** `given`: what it has from us, and what is to be taken back when no pool names it. What it was told of IPv6 is its owner's to change. */
export function leaveToHost(
  host: NetlinkSocket,
  bridge: Link,
  given: readonly InterfaceAddress[],
  { lent, marked }: { readonly lent: LentAddresses; readonly marked: MarkedBridges },
): void {
  for (const address of given) lent.add(address);
  marked.drop(bridge);
  const { index, name } = bridge;
  host.apply([{ step: `leave bridge ${name} to the host, which uses it`, message: changeLink(index, { alias: '' }) }]);
}
