// A container's interface straight on a parent link of the host's (macvlan, bridge mode): no bridge and no address of ours.
import type { Lease } from '../../shared/schema/network.ts';
import type { HostView } from './host-links.ts';
import type { InsideLink } from './interface-plan.ts';
import { attachmentAlias, hostInterfaceName, parseAttachmentAlias } from './link-names.ts';
import { findParent } from './macvlan-parents.ts';
import { NetFailure, type Undo } from './net-failure.ts';
import type { NetlinkSocket } from './netlink-socket.ts';
import { changeLink, createMacvlan, decodeLink, deleteLink, dumpLinks, type Link } from './rtnetlink-link.ts';
import { numberNamespace } from './rtnetlink-namespace.ts';

export interface MacvlanSession {
  readonly container: string;
  readonly host: NetlinkSocket;
  readonly find: HostView['find'];
  readonly inside: NetlinkSocket;
  readonly namespaceFd: number;
  readonly undo: Undo;
}

/** The interface of one lease. Answers it when it had to be made. Throws NetFailure. */
export function ensureMacvlan(session: MacvlanSession, links: readonly Link[], lease: Lease): InsideLink | undefined {
  const { container, host, inside, undo } = session;
  const parent = findParent(session.find, lease.bridge, lease.pool);
  const own = (link: Link): boolean => link.kind === 'macvlan' && link.peerElsewhere && link.peer === parent.index;
  const occupant = links.find(({ name }) => name === lease.interface);
  if (occupant !== undefined && own(occupant)) return undefined;
  // Born under a name that nobody else has: kernels before 6.13 look for the final one among the host's links.
  const firstName = hostInterfaceName(container, lease.interface);
  for (const link of links.filter(({ name }) => name === firstName || name === occupant?.name)) {
    const step = `delete ${link.name} that is in the way in ${container}`;
    inside.apply([{ step, message: deleteLink(link.index) }]);
  }
  beHeardOf(session);
  const step = `create macvlan ${lease.interface} of ${container} on ${lease.bridge}`;
  const message = createMacvlan({
    name: firstName,
    mac: lease.mac,
    parentIndex: parent.index,
    namespaceFd: session.namespaceFd,
  });
  host.apply([{ step, message }]);
  const made = linksInside(inside, container).find(({ name }) => name === firstName);
  if (made === undefined) throw new NetFailure(step, 'it is gone right after it was made');
  const undoStep = `delete macvlan ${lease.interface} of ${container}`;
  undo.add(undoStep, () => inside.apply([{ step: undoStep, message: deleteLink(made.index) }]));
  const marked = { name: lease.interface, alias: attachmentAlias(container, lease.interface) };
  inside.apply([{ step: `name ${lease.interface} of ${container}`, message: changeLink(made.index, marked) }]);
  return { ...made, ...marked };
}

function beHeardOf({ container, host, namespaceFd }: MacvlanSession): void {
  try {
    host.apply([{ step: `number the namespace of ${container}`, message: numberNamespace(namespaceFd) }]);
  } catch (error) {
    if (!(error instanceof NetFailure) || !error.reason.includes('EEXIST')) throw error;
  }
}

/** Those of ours that `keeps` does not name go; a container may have made more on top of them. At once: the namespace alone would take its time, and its MAC stays taken until then. */
export function deleteMacvlans(inside: NetlinkSocket, container: string, keeps: (name: string) => boolean): void {
  for (const link of linksInside(inside, container)) {
    const isOurs = link.kind === 'macvlan' && parseAttachmentAlias(link.alias)?.container === container;
    if (!isOurs || keeps(link.name)) continue;
    const step = `delete macvlan ${link.name} of ${container}`;
    inside.apply([{ step, message: deleteLink(link.index) }]);
  }
}

export function linksInside(inside: NetlinkSocket, container: string): Link[] {
  return inside.dump(`list links of ${container}`, dumpLinks()).map(decodeLink);
}
