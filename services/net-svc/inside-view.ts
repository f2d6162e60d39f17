// What is to be known of a container's namespace to make it right, without reading what else it put there: hundreds of thousands of addresses
// or links, which it makes in minutes, kept net-svc from answering anybody for seconds. In: its namespace, and what it is to have; out:
// links by their names, and addresses of a link.
import { withinNamespace } from '../../shared/kernel/network-namespace.ts';
import { lookUp } from './host-links.ts';
import { isSameAddress } from './lent-addresses.ts';
import { attempt } from './net-failure.ts';
import type { MessageBody } from './netlink-message.ts';
import { type IsBeyond, type NetlinkSocket, openFiltering } from './netlink-socket.ts';
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

/** Listings of a container's namespace that end before what it heaped up. */
export interface InsideLists {
  /** As of a NetlinkSocket; no more than MAX_READ. */
  dump(step: string, message: MessageBody, isBeyond: IsBeyond): readonly Buffer[];
  close(): void;
}

/** After a listing that was left in its middle another conversation is begun. `dump` throws NetFailure. */
export function openInsideLists(namespaceFd: number): InsideLists {
  let socket: NetlinkSocket | undefined;
  const close = (): void => {
    socket?.close();
    socket = undefined;
  };
  return {
    dump(step, message, isBeyond) {
      socket ??= attempt(step, () => withinNamespace(namespaceFd, openFiltering));
      let isLeft = false;
      try {
        return socket.dump(step, message, (payload, read) => {
          isLeft = read.length >= MAX_READ || isBeyond(payload, read);
          return isLeft;
        });
      } finally {
        if (isLeft) close();
      }
    },
    close,
  };
}

/** The addresses of the wanted one's link, up to that one where `isEnough`. Throws NetFailure. */
export function addressesBeside(
  wanted: InterfaceAddress,
  lists: InsideLists,
  container: string,
  isEnough: boolean,
): InterfaceAddress[] {
  const isWanted = (payload: Buffer | undefined): boolean =>
    payload !== undefined && isSameAddress(wanted)(decodeAddress(payload));
  return lists
    .dump(
      `list addresses of ${container}`,
      dumpAddresses(wanted.linkIndex),
      (_, read) => isEnough && isWanted(read.at(-1)),
    )
    .map(decodeAddress);
}
