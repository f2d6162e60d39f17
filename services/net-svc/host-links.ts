// The links on the host's side: looked up, listed, and told apart by whose they are.
import { withinNamespace } from '../../shared/kernel/network-namespace.ts';
import { parseAttachmentAlias } from './link-names.ts';
import { attempt } from './net-failure.ts';
import { type NetlinkSocket, openRtnetlink, recording } from './netlink-socket.ts';
import { decodeLink, dumpLinks, getLinkByIndex, getLinkByName, type Link } from './rtnetlink-link.ts';

/** Runs `act` with a conversation in the namespace that the service itself is in. */
export function withHost<T>(act: (host: NetlinkSocket) => T): T {
  const host = attempt('open rtnetlink', openRtnetlink);
  try {
    return act(host);
  } finally {
    host.close();
  }
}

export function listLinks(host: NetlinkSocket): Link[] {
  return host.dump('list links', dumpLinks()).map(decodeLink);
}

/** The links inside the namespace behind `namespaceFd`. Throws NetFailure. */
export function linksWithin(namespaceFd: number, container: string): Link[] {
  const step = `list links of ${container}`;
  const inside = attempt(step, () => withinNamespace(namespaceFd, openRtnetlink));
  try {
    return inside.dump(step, dumpLinks()).map(decodeLink);
  } finally {
    inside.close();
  }
}

export function lookUp(host: NetlinkSocket, name: string): Link | undefined {
  const payload = host.get(`look up ${name}`, getLinkByName(name));
  return payload === undefined ? undefined : decodeLink(payload);
}

export function lookUpIndex(host: NetlinkSocket, index: number): Link | undefined {
  const payload = host.get(`look up link ${index}`, getLinkByIndex(index));
  return payload === undefined ? undefined : decodeLink(payload);
}

/** The host's links, seen over a conversation that somebody else closes. */
export interface HostView {
  readonly host: NetlinkSocket;
  find(name: string): Link | undefined;
  /** Host sides of the container's interfaces, as of before any change of its own. */
  sidesOf(container: string): readonly OwnLink[];
}

/** Each is looked up once, until the next change. */
export function liveView(host: NetlinkSocket): HostView {
  const known = new Map<string, Link | undefined>();
  return {
    host: recording(host, () => known.clear()),
    find(name) {
      if (!known.has(name)) known.set(name, lookUp(host, name));
      return known.get(name);
    },
    sidesOf: (container) => ownLinks(listLinks(host)).filter((own) => own.container === container),
  };
}

/** One listing for all that is to be found, until the first change: then each is looked up. */
export function listedView(host: NetlinkSocket): HostView {
  const links = listLinks(host);
  const listed = new Map(links.map((link) => [link.name, link]));
  const sides = new Map<string, OwnLink[]>();
  for (const own of ownLinks(links)) sides.set(own.container, [...(sides.get(own.container) ?? []), own]);
  let changed = false;
  const noticing = recording(host, () => {
    changed = true;
  });
  return {
    host: noticing,
    find: (name) => (changed ? lookUp(host, name) : listed.get(name)),
    sidesOf: (container) => sides.get(container) ?? [],
  };
}

/** The host side of a container's interface. */
export interface OwnLink {
  readonly link: Link;
  readonly container: string;
  readonly interface: string;
}

export function ownLinks(links: readonly Link[]): OwnLink[] {
  return links.flatMap((link) => {
    const owner = parseAttachmentAlias(link.alias);
    return owner === undefined ? [] : [{ link, ...owner }];
  });
}
