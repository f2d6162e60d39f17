// What is to be known of a container's namespace to make it right, without reading what else it put there: hundreds of thousands of addresses
// or links, which it makes in minutes, kept net-svc from answering anybody for seconds. In: its namespace, and what it is to have; out:
// links by their names, and addresses of a link.
import { withinNamespace } from '../../shared/kernel/network-namespace.ts';
import { lookUp } from './host-links.ts';
import { isSameAddress } from './lent-addresses.ts';
import { attempt } from './net-failure.ts';
import { type NetlinkSocket, openFiltering } from './netlink-socket.ts';
import { decodeAddress, dumpAddresses, type InterfaceAddress } from './rtnetlink-address.ts';
import type { Link } from './rtnetlink-link.ts';

/** Of one link, or of default routes. Who has more has what is his to answer for: what is not among them counts as missing. */
export const MAX_READ = 1_000;

/** Those that there are. */
export function linksNamed(inside: NetlinkSocket, names: readonly string[]): Link[] {
  return names.flatMap((name) => {
    const link = lookUp(inside, name);
    // The kernel finds a link by its further names, too.
    return link?.name === name ? [link] : [];
  });
}

/** The addresses of the wanted one's link, up to that one where `isEnough`. Throws NetFailure. */
export function addressesBeside(
  wanted: InterfaceAddress,
  namespaceFd: number,
  container: string,
  isEnough: boolean,
): InterfaceAddress[] {
  const step = `list addresses of ${container}`;
  const inside = attempt(step, () => withinNamespace(namespaceFd, openFiltering));
  const isWanted = (payload: Buffer | undefined): boolean =>
    payload !== undefined && isSameAddress(wanted)(decodeAddress(payload));
  try {
    const isBeyond = (_: Buffer, read: readonly Buffer[]): boolean =>
      read.length >= MAX_READ || (isEnough && isWanted(read.at(-1)));
    return inside.dump(step, dumpAddresses(wanted.linkIndex), isBeyond).map(decodeAddress);
  } finally {
    inside.close();
  }
}
