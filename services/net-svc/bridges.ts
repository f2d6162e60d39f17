// The bridges of pools: made, addressed and brought up where that is not so already; ours that no pool names are removed.
// A bridge that somebody else made (its alias is not ours) is used and lent the address (lending.ts), and never made in his place, nor deleted.
import type { HealthReason } from '../../shared/schema/health.ts';
import type { Pool } from '../../shared/schema/network.ts';
import { hasUplink, isGivenTo, leaveToHost } from './bridge-owners.ts';
import { listLinks, lookUp, withHost } from './host-links.ts';
import { addressChanges } from './interface-plan.ts';
import { refuseRouters } from './ipv6-routers.ts';
import { gatewayOf, lendAddress } from './lending.ts';
import { isSameAddress, type LentAddresses } from './lent-addresses.ts';
import { bridgeAlias, bridgeMac, isBridgeAlias } from './link-names.ts';
import { type MarkedBridges, markAgain } from './marked-bridges.ts';
import { collectFailures, NetFailure, type Undo } from './net-failure.ts';
import type { Step } from './netlink-message.ts';
import { type NetlinkSocket, recording } from './netlink-socket.ts';
import type { OthersBridges } from './others-bridges.ts';
import {
  decodeAddress,
  decodeLinkLocal,
  deleteLinkLocal,
  dumpAddresses,
  dumpIpv6Addresses,
  type InterfaceAddress,
} from './rtnetlink-address.ts';
import {
  changeLink,
  createBridge,
  deleteLink,
  type Link,
  type LinkChange,
  learnNotFromBridgeFrames,
  makeNoIpv6Address,
} from './rtnetlink-link.ts';

export interface BridgeReport {
  /** Pools whose bridge did not exist before. */
  readonly created: readonly Pool[];
  /** Bridges that we made and that are the host's now. */
  readonly left: readonly string[];
  readonly reasons: readonly HealthReason[];
}

/** What is on file of bridges that somebody else made. */
export interface BridgeNotes {
  readonly lent: LentAddresses;
  readonly others: OthersBridges;
  readonly marked: MarkedBridges;
}

/** Adds what is missing. Throws NetFailure; what to undo then is in `undo`. `record` hears of every change. */
export function ensureBridges(
  allPools: readonly Pool[],
  undo: Undo,
  notes: BridgeNotes,
  record: (step: string) => void = () => undefined,
): BridgeReport {
  const { lent, others, marked } = notes;
  const pools = allPools.filter(({ type }) => type === 'bridge');
  return withHost((conversation) => {
    const host = recording(conversation, record);
    const links = markAgain(host, listLinks(host), marked);
    for (const pool of pools) refuseForeignKind(pool, links);
    const addresses = host.dump('list addresses', dumpAddresses()).map(decodeAddress);
    const left = pools.flatMap((pool) => leaveTaken(host, pool, links, addresses, notes));
    const absent = pools.filter(({ bridge }) => !links.some(({ name }) => name === bridge));
    const gone = absent.filter(({ bridge }) => others.has(bridge));
    const missing = absent.filter((pool) => !gone.includes(pool));
    for (const pool of missing) create(host, pool, undo);
    const current = pools.flatMap(({ bridge }) => lookUp(host, bridge) ?? []);
    others.add(current.filter(({ alias }) => !isBridgeAlias(alias)).map(({ name }) => name));
    for (const pool of pools) lendAddress(pool, current, addresses, undo, lent);
    const reasons = [...gone.map(goneReason), ...refuseRouters(current, record)];
    host.apply([
      ...noIpv6Addresses(host, current),
      ...pools.filter((pool) => !gone.includes(pool)).flatMap((pool) => bridgeChanges(pool, current, addresses)),
    ]);
    const own = pools.flatMap(({ bridge, name }) =>
      current
        .filter((link) => link.name === bridge && isBridgeAlias(link.alias))
        .map((link) => ({ ...link, alias: bridgeAlias(name) })),
    );
    marked.keep([...own, ...links.filter(({ name }) => !pools.some(({ bridge }) => bridge === name))]);
    return { created: missing, left, reasons };
  });
}

/** Pools whose bridge somebody else made and took away: until it is back nothing of theirs is made. Throws NetFailure. */
export function poolsWithoutBridge(pools: readonly Pool[], { others }: BridgeNotes): readonly Pool[] {
  const theirs = pools.filter(({ type, bridge }) => type === 'bridge' && others.has(bridge));
  if (theirs.length === 0) return [];
  return withHost((host) => theirs.filter(({ bridge }) => lookUp(host, bridge) === undefined));
}

/** Deletes bridges that we made and that no pool names; answers those that the host uses, which stay. Throws NetFailure for all that failed together. */
export function removeStaleBridges(
  pools: readonly Pool[],
  notes: BridgeNotes,
  record: (step: string) => void = () => undefined,
): readonly string[] {
  return withHost((conversation) => {
    const host = recording(conversation, record);
    const links = listLinks(host);
    const stale = links.filter(
      (link) => isBridgeAlias(link.alias) && link.kind === 'bridge' && !pools.some((pool) => pool.bridge === link.name),
    );
    if (stale.length === 0) return [];
    const addresses = host.dump('list addresses', dumpAddresses()).map(decodeAddress);
    const isTaken = (bridge: Link): boolean =>
      hasUplink(bridge, links) ||
      addresses.some((address) => address.linkIndex === bridge.index && !isGivenTo(bridge)(address));
    const taken = stale.filter(isTaken);
    const failures = collectFailures([
      ...taken.map((bridge) => ({
        step: `leave bridge ${bridge.name} to the host`,
        act: () => leaveToHost(host, bridge, addresses.filter(isGivenTo(bridge)), notes),
      })),
      ...stale
        .filter((bridge) => !taken.includes(bridge))
        .map((bridge) => {
          const step = `delete bridge ${bridge.name} that no pool uses`;
          const act = (): void => {
            host.apply([{ step, message: deleteLink(bridge.index) }]);
            notes.marked.drop(bridge);
          };
          return { step, act };
        }),
    ]);
    const [first, ...others] = failures;
    if (first === undefined) return taken.map(({ name }) => name);
    throw new NetFailure(first.step, [first.reason, ...others.map(({ message }) => message)].join('; '));
  });
}

function refuseForeignKind(pool: Pool, links: readonly Link[]): void {
  const present = links.find((link) => link.name === pool.bridge);
  if (present === undefined || present.kind === 'bridge') return;
  const kind = present.kind === '' ? 'another kind of link' : `a ${present.kind}`;
  throw new NetFailure(`use bridge ${pool.bridge} for pool ${pool.name}`, `${pool.bridge} exists and is ${kind}`);
}

/** Answers the bridge of the pool where we made it and the host uses it as its own by now. */
function leaveTaken(
  host: NetlinkSocket,
  pool: Pool,
  links: readonly Link[],
  addresses: readonly InterfaceAddress[],
  notes: BridgeNotes,
): string[] {
  const bridge = links.find(({ name }) => name === pool.bridge);
  if (bridge === undefined || !isBridgeAlias(bridge.alias) || !hasUplink(bridge, links)) return [];
  const isGiven = isGivenTo(bridge);
  const wanted = gatewayOf(pool, bridge);
  // Its owner may have given it another MAC.
  const given = addresses.filter((address) => isGiven(address) || isSameAddress(wanted)(address));
  leaveToHost(host, bridge, given, notes);
  return [bridge.name];
}

function goneReason({ name, bridge }: Pool): HealthReason {
  return {
    code: 'BRIDGE_GONE',
    subject: `pool ${name}`,
    message: `the bridge ${bridge} of pool '${name}', which Berth did not make, is gone; its containers have a network again when it is back`,
  };
}

function create(host: NetlinkSocket, pool: Pool, undo: Undo): void {
  const step = `create bridge ${pool.bridge}`;
  host.apply([{ step, message: createBridge(pool.bridge, bridgeMac(pool.gateway)) }]);
  const index = lookUp(host, pool.bridge)?.index;
  if (index === undefined) throw new NetFailure(step, 'it is gone right after it was made');
  undo.add(`delete bridge ${pool.bridge}`, () =>
    withHost((later) => later.apply([{ step: `delete bridge ${pool.bridge}`, message: deleteLink(index) }])),
  );
  host.apply([{ step: `mark bridge ${pool.bridge}`, message: changeLink(index, { alias: bridgeAlias(pool.name) }) }]);
}

/**
 * Bridges of ours make themselves no IPv6 address: by that one containers reached the host past what it filters of IPv4. One that has
 * stood for longer has made its own, which goes first: where it says that it makes none, nobody looks for it.
 */
function noIpv6Addresses(host: NetlinkSocket, links: readonly Link[]): Step[] {
  const makers = links.filter((link) => isBridgeAlias(link.alias) && link.makesIpv6Address);
  if (makers.length === 0) return [];
  const made = host
    .dump('list IPv6 addresses', dumpIpv6Addresses())
    .flatMap((payload) => decodeLinkLocal(payload) ?? []);
  return makers.flatMap(({ name, index }) => [
    ...made
      .filter(({ linkIndex }) => linkIndex === index)
      .map((own) => ({ step: `remove the IPv6 address that bridge ${name} made`, message: deleteLinkLocal(own) })),
    { step: `have bridge ${name} make no IPv6 address`, message: makeNoIpv6Address(index) },
  ]);
}

/** What the bridge of a pool lacks. Of somebody else's bridge only address and up are ours to set, and of ours only the address that it had from us goes. */
export function bridgeChanges(pool: Pool, links: readonly Link[], addresses: readonly InterfaceAddress[]): Step[] {
  const link = links.find((candidate) => candidate.name === pool.bridge);
  if (link === undefined) throw new NetFailure(`find bridge ${pool.bridge}`, 'it is gone right after it was made');
  const ours = isBridgeAlias(link.alias);
  const changes: Step[] = [];
  const change = (what: string, wanted: LinkChange): void => {
    changes.push({ step: `${what} bridge ${pool.bridge}`, message: changeLink(link.index, wanted) });
  };
  if (ours && link.alias !== bridgeAlias(pool.name)) change('mark', { alias: bridgeAlias(pool.name) });
  if (ours && link.mac !== bridgeMac(pool.gateway)) change('set the MAC of', { mac: bridgeMac(pool.gateway) });
  if (ours && link.learnsFromBridgeFrames) {
    const step = `have bridge ${pool.bridge} learn nothing from frames for bridges`;
    changes.push({ step, message: learnNotFromBridgeFrames(link.index) });
  }
  const wanted = gatewayOf(pool, link);
  changes.push(...addressChanges(wanted, addresses, `of bridge ${pool.bridge}`, ours ? isGivenTo(link) : undefined));
  if (!link.up) change('bring up', { up: true });
  return changes;
}
