// A container's place on the network: its namespace and veth pairs, compared with what the kernel has and changed where
// that differs. Nothing is remembered: whose a link is says its alias.

import { closeSync, existsSync } from 'node:fs';
import { withinNamespace } from '../../shared/kernel/network-namespace.ts';
import type { Lease } from '../../shared/schema/network.ts';
import { defaultRoutesWithin } from './default-routes.ts';
import { type HostView, linksWithin, listLinks, liveView, lookUp, ownLinks, withHost } from './host-links.ts';
import { addressesBeside, linksNamed, openInsideLists } from './inside-view.ts';
import { changesInside, changesOutside, type Inside, type InsideLink, isPair, type Reach } from './interface-plan.ts';
import { refuseRoutersAtPort } from './ipv6-routers.ts';
import { attachmentAlias, hostInterfaceName } from './link-names.ts';
import { findLostNamespace } from './lost-namespace.ts';
import { deleteMacvlans, ensureMacvlan, linksInside } from './macvlan.ts';
import { attempt, NetFailure, type Undo, undoingOnFailure } from './net-failure.ts';
import { type NetlinkSocket, openRtnetlink, recording } from './netlink-socket.ts';
import type { Namespaces } from './netns.ts';
import { bringUpByName, createVeth, deleteLink, type Link, markPortByName } from './rtnetlink-link.ts';

export interface AttachedInterface {
  readonly interface: string;
  readonly hostInterface: string;
}

export interface Attachment {
  readonly container: string;
  readonly netns: string;
  readonly interfaces: readonly AttachedInterface[];
}

/** How far an attach may go. */
export interface AttachMode extends Reach {
  /** Whether a namespace is made where there is none. Not under a container that may live in one that lost its file. */
  readonly mayCreateNamespace: boolean;
  /** Hears the words of every change. */
  readonly record: (step: string) => void;
  /** Of somebody who attaches many; without it, one of its own. */
  readonly view?: HostView;
  /** The container was attached before: where its namespace has no file, it may live all the same. */
  readonly wasAttached?: boolean;
  /** The first process of a container that runs. Its namespace is found and bound to the file again; never is a fresh one made. */
  readonly pid?: number | undefined;
  /** Pools whose leases name a parent link instead of a bridge; none unless told. */
  readonly isMacvlan?: (pool: string) => boolean;
}

export const AS_ASKED: AttachMode = { strictness: 'exact', mayCreateNamespace: true, record: () => undefined };

/** Everything one attach talks to. */
interface Session extends Reach {
  readonly container: string;
  readonly host: NetlinkSocket;
  readonly find: HostView['find'];
  readonly sidesOf: HostView['sidesOf'];
  readonly inside: NetlinkSocket;
  readonly namespaceFd: number;
  readonly undo: Undo;
  readonly record: (step: string) => void;
  readonly isMacvlan: (pool: string) => boolean;
  /** Made a moment ago: nothing is in it but the loopback interface. Each question to the kernel may wait for its lock on all links. */
  readonly isFresh: boolean;
}

/**
 * Gives the container a namespace with exactly these interfaces, the default route through the first one's gateway.
 * What is right already is left untouched, without a message that changes anything. Throws NetFailure; then everything
 * that this call did is undone.
 */
export function attach(
  namespaces: Namespaces,
  container: string,
  leases: readonly Lease[],
  mode: AttachMode = AS_ASKED,
): Attachment {
  refuseBadLeases(container, leases);
  const { view, strictness, before, record, isMacvlan = () => false } = mode;
  withView(view, (seen) =>
    undoingOnFailure((undo) => {
      const isFresh = ensureNamespace(namespaces, container, leases, { ...mode, view: seen }, undo);
      withInside(namespaces, container, (inside, namespaceFd) => {
        const both = { ...seen, host: recording(seen.host, record), inside: recording(inside, record) };
        // Undone here already, while the sockets are open; the namespace goes after them.
        undoingOnFailure((inner) =>
          plumb(
            { container, ...both, namespaceFd, undo: inner, strictness, before, record, isMacvlan, isFresh },
            leases,
          ),
        );
      });
    }),
  );
  return {
    container,
    netns: namespaces.pathOf(container),
    interfaces: leases.map((lease) => ({
      interface: lease.interface,
      // A macvlan has no other end; what the host has of it is its parent.
      hostInterface: isMacvlan(lease.pool) ? lease.bridge : hostInterfaceName(container, lease.interface),
    })),
  };
}

type SeeingMode = AttachMode & { readonly view: HostView };

/** Answers whether it had to be made. */
function ensureNamespace(
  namespaces: Namespaces,
  container: string,
  leases: readonly Lease[],
  mode: SeeingMode,
  undo: Undo,
): boolean {
  const step = `bind the namespace of ${container} again`;
  if (attempt(`look up the namespace of ${container}`, () => namespaces.hold(container))) return false;
  if (attempt(step, () => namespaces.bindAgain(container) || bindLost(namespaces, container, leases, mode))) {
    mode.record(step);
    return false;
  }
  if (!mode.mayCreateNamespace || mode.pid !== undefined) {
    const reason = 'its file lost its mount, and no process is in a namespace with its interfaces; stop and start it';
    throw new NetFailure(step, reason);
  }
  attempt(`create the namespace of ${container}`, () => namespaces.create(container));
  undo.add(`remove the namespace of ${container}`, () => namespaces.remove(container));
  return true;
}

/** False when there is no namespace that is proven to be the container's. */
function bindLost(namespaces: Namespaces, container: string, leases: readonly Lease[], mode: SeeingMode): boolean {
  const { isMacvlan = () => false, wasAttached = false, pid, view } = mode;
  const lost = { container, leases, isMacvlan, wasAttached: wasAttached || pid !== undefined, pid };
  const fd = findLostNamespace(lost, view);
  if (fd === undefined) return false;
  try {
    namespaces.bindLost(container, fd);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return true;
}

function refuseBadLeases(container: string, leases: readonly Lease[]): void {
  const names = new Set<string>();
  for (const lease of leases) {
    const step = `attach ${lease.interface} of ${container}`;
    if (lease.container !== container) throw new NetFailure(step, `the lease belongs to ${lease.container}`);
    if (lease.interface === 'lo') throw new NetFailure(step, 'lo is the loopback interface of every namespace');
    if (names.has(lease.interface)) throw new NetFailure(step, 'two leases name this interface');
    names.add(lease.interface);
  }
}

function withView(view: HostView | undefined, act: (view: HostView) => void): void {
  if (view === undefined) withHost((host) => act(liveView(host)));
  else act(view);
}

function withInside(
  namespaces: Namespaces,
  container: string,
  act: (inside: NetlinkSocket, namespaceFd: number) => void,
): void {
  const namespaceFd = namespaces.heldFd(container);
  // A socket stays in the namespace that it was made in.
  const inside = attempt(`enter the namespace of ${container}`, () => withinNamespace(namespaceFd, openRtnetlink));
  try {
    act(inside, namespaceFd);
  } finally {
    inside.close();
  }
}

function plumb(session: Session, leases: readonly Lease[]): void {
  const { container, inside, isFresh } = session;
  const before = isFresh ? [] : linksBefore(session, leases);
  if (!isFresh && mayHaveStrays(session, before, leases)) removeStrays(session, leases);
  const made: InsideLink[] = [];
  const kept = (name: string): boolean => isNamed(name, leases);
  if (before.some(({ kind }) => kind === 'macvlan')) deleteMacvlans(inside, container, kept);
  for (const lease of leases) {
    const ensure = session.isMacvlan(lease.pool) ? ensureMacvlan : ensureVeth;
    const link = ensure(session, before, lease);
    if (link !== undefined) made.push(link);
  }
  // Those made now go before what stood there under their names.
  const links = [...made, ...(isFresh ? [LOOPBACK] : before)];
  const present = isFresh ? { addresses: [], routes: [] } : insideAddresses(session, links, leases);
  inside.apply(changesInside(container, leases, { links, ...present }, session));
}

/** One of ours, which nothing on the host tells. */
function mayHaveMacvlan({ strictness, before = [], isMacvlan }: Session, leases: readonly Lease[]): boolean {
  return strictness === 'exact' || [...leases, ...before].some(({ pool }) => isMacvlan(pool));
}

/** All of them only where one may be a macvlan. */
function linksBefore(session: Session, leases: readonly Lease[]): Link[] {
  const { container, inside } = session;
  if (mayHaveMacvlan(session, leases)) return linksInside(inside, container);
  return linksNamed(inside, ['lo', ...leases.map(({ interface: name }) => name)]);
}

function isNamed(name: string, leases: readonly Lease[]): boolean {
  return leases.some((lease) => lease.interface === name);
}

/** Without a look at the host: of what it had before, or of what is there. */
function mayHaveStrays(session: Session, links: readonly Link[], leases: readonly Lease[]): boolean {
  const { before = [] } = session;
  if (before.length > 0) return !before.every((own) => isNamed(own.interface, leases));
  const areAll = mayHaveMacvlan(session, leases);
  return !areAll || links.some(({ kind, name }) => kind === 'veth' && !isNamed(name, leases));
}

/** Of a namespace that was just made; its index is 1 in all of them (drivers/net/loopback.c). */
const LOOPBACK: InsideLink = { index: 1, name: 'lo', mac: '00:00:00:00:00:00', up: false };

function insideAddresses(
  { container, namespaceFd, strictness, before = [] }: Session,
  links: readonly InsideLink[],
  leases: readonly Lease[],
): Omit<Inside, 'links'> {
  // Further ones matter only where some are to go.
  const isEnough = strictness === 'enough' && before.length === 0;
  const lists = openInsideLists(namespaceFd);
  try {
    const addresses = leases.flatMap(({ interface: name, address, prefixLength }) => {
      const link = links.find((candidate) => candidate.name === name);
      if (link === undefined) return [];
      return addressesBeside({ linkIndex: link.index, address, prefixLength }, lists, container, isEnough);
    });
    return { addresses, routes: defaultRoutesWithin(lists, container) };
  } finally {
    lists.close();
  }
}

/** Removes pairs of this container's that no lease names any more. By their host sides: what the container made itself has none. */
function removeStrays({ container, host, sidesOf }: Session, leases: readonly Lease[]): void {
  const strays = sidesOf(container).filter((own) => !isNamed(own.interface, leases));
  for (const { link, interface: name } of strays) {
    host.apply([{ step: `delete ${link.name}, former ${name} of ${container}`, message: deleteLink(link.index) }]);
  }
}

/** The veth pair of one lease, with its host side marked, up and in the bridge. Answers its end inside when it had to be made. */
function ensureVeth(session: Session, links: readonly Link[], lease: Lease): InsideLink | undefined {
  const { container, host, find, record } = session;
  const bridge = find(lease.bridge);
  if (bridge?.kind !== 'bridge') {
    const found = bridge === undefined ? 'there is no such link' : 'it is no bridge';
    throw new NetFailure(`find bridge ${lease.bridge} of pool ${lease.pool}`, found);
  }
  const hostName = hostInterfaceName(container, lease.interface);
  const alias = attachmentAlias(container, lease.interface);
  const present = find(hostName);
  const occupant = links.find((link) => link.name === lease.interface);
  // Without a mark it is ours all the same when its other end is in our namespace: we were killed before marking it.
  if (present !== undefined && isPair(present, occupant) && ['', alias].includes(present.alias)) {
    if (present.acceptsRouters) refuseRoutersAtPort(present.name, record);
    host.apply(changesOutside(present, bridge, alias));
    return undefined;
  }
  if (present !== undefined && present.alias !== alias) {
    const owner = present.alias === '' ? 'a link that is not ours' : `a link marked "${present.alias}"`;
    throw new NetFailure(
      `create veth ${hostName} for ${lease.interface} of ${container}`,
      `the name is taken by ${owner}`,
    );
  }
  clearTheWay(session, present, occupant);
  return createPair(session, bridge, lease, hostName);
}

/** The namespace is ours as a whole: what stands there under the name, or is left of a former pair, goes. */
function clearTheWay(
  { container, host, inside }: Session,
  present: Link | undefined,
  occupant: Link | undefined,
): void {
  if (present !== undefined) {
    const step = `delete veth ${present.name}, whose other end is not in ${container}`;
    host.apply([{ step, message: deleteLink(present.index) }]);
  }
  if (occupant !== undefined) {
    const step = `delete ${occupant.name} that is in the way in ${container}`;
    inside.apply([{ step, message: deleteLink(occupant.index) }]);
  }
}

/** There where the kernel has IPv6 (if6_proc_net_init() in net/ipv6/addrconf.c). */
const IPV6_ADDRESSES = '/proc/net/if_inet6';

function createPair(
  { container, host, find, inside, namespaceFd, undo, record }: Session,
  bridge: Link,
  lease: Lease,
  hostName: string,
): InsideLink {
  const pair = {
    hostName,
    bridgeIndex: bridge.index,
    peerName: lease.interface,
    peerMac: lease.mac,
    peerNamespaceFd: namespaceFd,
  };
  const step = `create veth ${hostName} for ${lease.interface} of ${container} in ${lease.bridge}`;
  // In a datagram of its own: the mark behind a creation that failed could go to somebody else's link.
  try {
    host.apply([{ step, message: createVeth(pair) }]);
  } catch (error) {
    throw withFullBridge(error, lease.bridge);
  }
  const undoStep = `delete veth ${hostName}`;
  undo.add(undoStep, () => {
    const created = lookUp(host, hostName);
    if (created !== undefined) host.apply([{ step: undoStep, message: deleteLink(created.index) }]);
  });
  const alias = attachmentAlias(container, lease.interface);
  host.apply([{ step: `mark veth ${hostName}`, message: markPortByName(hostName, alias, existsSync(IPV6_ADDRESSES)) }]);
  refuseRoutersAtPort(hostName, record);
  const name = `${lease.interface} of ${container}`;
  inside.apply([{ step: `bring up ${name}`, message: bringUpByName(lease.interface) }]);
  // To be asked about a link makes the kernel take note of its carrier, else done some time later: only then the bridge forwards what it
  // sends (rtnl_getlink() in rtnetlink.c, since 6.8), and is there somebody to announce an address to.
  const outside = find(hostName);
  if (outside === undefined) throw new NetFailure(step, 'it is gone right after it was made');
  return { index: outside.peer, name: lease.interface, mac: lease.mac, up: true, isUnannounced: true };
}

/** Number 54 of asm-generic/errno.h, EXFULL, which Node has no name for: a bridge without a free port number (br_if.c, BR_MAX_PORTS). */
const FULL = 'errno 54,';

function withFullBridge(error: unknown, bridge: string): unknown {
  if (!(error instanceof NetFailure) || !error.reason.includes(FULL)) return error;
  return new NetFailure(error.step, `bridge ${bridge} is full, all of its 1023 ports are taken; use a further pool`);
}

/** All containers that have a namespace, with their interfaces, as the kernel has them. Throws NetFailure. */
export function listAttachments(namespaces: Namespaces, mayHaveMacvlans = false): Attachment[] {
  return withHost((host) => {
    const hostLinks = listLinks(host);
    const own = ownLinks(hostLinks);
    const containers = attempt('list namespaces', () => namespaces.list());
    return containers.map((container) => {
      const pairs = own
        .filter((candidate) => candidate.container === container)
        .map(({ link, interface: name }) => ({ interface: name, hostInterface: link.name }));
      const macvlans = mayHaveMacvlans ? listMacvlans(namespaces, container, hostLinks) : [];
      const interfaces = [...pairs, ...macvlans].sort((a, b) => a.interface.localeCompare(b.interface));
      return { container, netns: namespaces.pathOf(container), interfaces };
    });
  });
}

/**
 * These have no other end: what the host has of one is its parent. None where the container does not let itself be looked at, by changing
 * its links all the time: everybody else is still to be told of.
 */
function listMacvlans(namespaces: Namespaces, container: string, hostLinks: readonly Link[]): AttachedInterface[] {
  try {
    const inside = linksOf(namespaces, container);
    return inside.flatMap((link) => {
      const parent = hostLinks.find(({ index }) => index === link.peer)?.name;
      const isOurs = link.kind === 'macvlan' && link.alias === attachmentAlias(container, link.name);
      return isOurs && parent !== undefined ? [{ interface: link.name, hostInterface: parent }] : [];
    });
  } catch (error) {
    if (!(error instanceof NetFailure)) throw error;
    return [];
  }
}

function linksOf(namespaces: Namespaces, container: string): Link[] {
  const fd = attempt(`enter the namespace of ${container}`, () => namespaces.open(container));
  try {
    return linksWithin(fd, container);
  } finally {
    closeSync(fd);
  }
}
