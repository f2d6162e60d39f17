// Links in rtnetlink's words (rtnetlink(7), linux/if_link.h): create, change, delete, look up. Pure.
import {
  type Attribute,
  decodeAttributes,
  encodeAttributes,
  MalformedMessage,
  type MessageBody,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
  nested,
  readText,
  readUint32,
  text,
  uint32,
} from './netlink-message.ts';
import {
  AF_INET,
  AF_INET6,
  BR_BOOLOPT_NO_LL_LEARN,
  DEVCONF_ACCEPT_RA,
  IFF_RUNNING,
  IFF_UP,
  IFLA_ADDRESS,
  IFLA_AF_SPEC,
  IFLA_BR_MULTI_BOOLOPT,
  IFLA_EXT_MASK,
  IFLA_GROUP,
  IFLA_IFALIAS,
  IFLA_IFNAME,
  IFLA_INET_CONF,
  IFLA_INET6_ADDR_GEN_MODE,
  IFLA_INET6_CONF,
  IFLA_INFO_DATA,
  IFLA_INFO_KIND,
  IFLA_LINK,
  IFLA_LINK_NETNSID,
  IFLA_LINKINFO,
  IFLA_MACVLAN_MODE,
  IFLA_MASTER,
  IFLA_NET_NS_FD,
  IFLA_NUM_RX_QUEUES,
  IFLA_NUM_TX_QUEUES,
  IN6_ADDR_GEN_MODE_NONE,
  IPV4_DEVCONF_ARP_NOTIFY,
  MACVLAN_MODE_BRIDGE,
  RTEXT_FILTER_SKIP_STATS,
  RTM_DELLINK,
  RTM_GETLINK,
  RTM_NEWLINK,
  RTM_SETLINK,
  VETH_INFO_PEER,
} from './rtnetlink-codes.ts';
import { readNamespaceNumber } from './rtnetlink-namespace.ts';

const HEADER_BYTES = 16;

export interface Link {
  readonly index: number;
  readonly name: string;
  readonly up: boolean;
  /** Up, and with a carrier. */
  readonly running: boolean;
  /** Lower case, with colons; empty for links without an address. */
  readonly mac: string;
  /** `bridge`, `veth`, …; empty for physical links and lo. */
  readonly kind: string;
  readonly alias: string;
  /** Index of the bridge it is a port of; 0 for none. */
  readonly master: number;
  /** Of a veth: its peer's index, in the namespace the peer is in; 0 otherwise. */
  readonly peer: number;
  /** A number that somebody gave it; 0 by default. */
  readonly group: number;
  /** Its peer lives in another namespace. */
  readonly peerElsewhere: boolean;
  /** The number of that namespace in ours; undefined where the peer lives in ours, or in one without a number. */
  readonly peerNamespace: number | undefined;
  /** Of a bridge or a veth: the kernel makes it an IPv6 address by itself, as it does unless it is told not to. */
  readonly makesIpv6Address: boolean;
  /** Of the same: the kernel takes routes and addresses of IPv6 from whoever offers himself as router there, as it does unless it is told not to. */
  readonly acceptsRouters: boolean;
  /** Of a bridge: frames for bridges alone tell it where their sender is, as they do unless it is told otherwise. */
  readonly learnsFromBridgeFrames: boolean;
}

/** `index` 0: the link is named by an attribute. `up` undefined: as it is. */
function header(index: number, up: boolean | undefined): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  bytes.writeInt32LE(index, 4);
  bytes.writeUInt32LE(up === true ? IFF_UP : 0, 8);
  bytes.writeUInt32LE(up === undefined ? 0 : IFF_UP, 12);
  return bytes;
}

const macBytes = (mac: string): Buffer => Buffer.from(mac.replaceAll(':', ''), 'hex');
const macText = (bytes: Buffer | undefined): string => bytes?.toString('hex').replace(/..(?=.)/g, '$&:') ?? '';

function message(type: number, flags: number, head: Buffer, attributes: readonly Attribute[]): MessageBody {
  return { type, flags, payload: Buffer.concat([head, encodeAttributes(attributes)]) };
}

/**
 * Frames for bridges alone (01:80:c2:00:00:00 to …0f) pass no rule of nft's before the bridge looks for whoever they are from at their port
 * (br_handle_frame() in net/bridge/br_input.c): a container got what was for another one by them. Kernels before 5.0 do not know it.
 */
const NO_LEARNING_FROM_BRIDGE_FRAMES = nested(IFLA_LINKINFO, [
  text(IFLA_INFO_KIND, 'bridge'),
  nested(IFLA_INFO_DATA, [
    // struct br_boolopt_multi: values, and which of them are meant.
    {
      type: IFLA_BR_MULTI_BOOLOPT,
      value: Buffer.from(Uint32Array.of(BR_BOOLOPT_NO_LL_LEARN, BR_BOOLOPT_NO_LL_LEARN).buffer),
    },
  ]),
]);

/**
 * A bridge with this MAC from its first moment: the kernel then never recomputes it from the ports'. Down, which is when it can be told
 * to make it no IPv6 address.
 */
export function createBridge(name: string, mac: string): MessageBody {
  return message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, header(0, undefined), [
    text(IFLA_IFNAME, name),
    { type: IFLA_ADDRESS, value: macBytes(mac) },
    NO_LEARNING_FROM_BRIDGE_FRAMES,
  ]);
}

export function learnNotFromBridgeFrames(index: number): MessageBody {
  return message(RTM_NEWLINK, 0, header(index, undefined), [NO_LEARNING_FROM_BRIDGE_FRAMES]);
}

export interface VethPair {
  readonly hostName: string;
  /** Index of the bridge that the host side becomes a port of. */
  readonly bridgeIndex: number;
  readonly peerName: string;
  readonly peerMac: string;
  /** Open descriptor of the namespace that the peer is born in. */
  readonly peerNamespaceFd: number;
}

/**
 * A veth works with one queue unless it is told otherwise. Unasked, the kernel makes one for each processor and takes them back at once, for
 * which it waits until nobody uses them (veth_init_queues() in veth.c), on both sides.
 */
const ONE_QUEUE = [uint32(IFLA_NUM_TX_QUEUES, 1), uint32(IFLA_NUM_RX_QUEUES, 1)];

/** The host side is up; the peer is down, because the kernel answers ENOTCONN when it is asked to be up at creation. */
export function createVeth(pair: VethPair): MessageBody {
  const peer = Buffer.concat([
    header(0, undefined),
    encodeAttributes([
      text(IFLA_IFNAME, pair.peerName),
      { type: IFLA_ADDRESS, value: macBytes(pair.peerMac) },
      uint32(IFLA_NET_NS_FD, pair.peerNamespaceFd),
      ...ONE_QUEUE,
    ]),
  ]);
  return message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, header(0, true), [
    text(IFLA_IFNAME, pair.hostName),
    uint32(IFLA_MASTER, pair.bridgeIndex),
    ...ONE_QUEUE,
    nested(IFLA_LINKINFO, [
      text(IFLA_INFO_KIND, 'veth'),
      nested(IFLA_INFO_DATA, [{ type: VETH_INFO_PEER, value: peer }]),
    ]),
  ]);
}

export interface Macvlan {
  readonly name: string;
  readonly mac: string;
  readonly parentIndex: number;
  /** Open descriptor of the namespace that it is born in. */
  readonly namespaceFd: number;
}

/** Down; it reaches others of the same parent, and not the host itself (bridge mode). */
export function createMacvlan({ name, mac, parentIndex, namespaceFd }: Macvlan): MessageBody {
  return message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, header(0, undefined), [
    text(IFLA_IFNAME, name),
    { type: IFLA_ADDRESS, value: macBytes(mac) },
    uint32(IFLA_LINK, parentIndex),
    uint32(IFLA_NET_NS_FD, namespaceFd),
    nested(IFLA_LINKINFO, [
      text(IFLA_INFO_KIND, 'macvlan'),
      nested(IFLA_INFO_DATA, [uint32(IFLA_MACVLAN_MODE, MACVLAN_MODE_BRIDGE)]),
    ]),
  ]);
}

export function bringUpByName(name: string): MessageBody {
  return message(RTM_SETLINK, 0, header(0, true), [text(IFLA_IFNAME, name)]);
}

/**
 * A port of a bridge is reached by no address of its own: one would only be told of to the other end of the veth. A bridge would be reached
 * by its own, past all that a host filters of IPv4.
 */
const NO_IPV6_ADDRESS = nested(IFLA_AF_SPEC, [
  nested(AF_INET6, [{ type: IFLA_INET6_ADDR_GEN_MODE, value: Buffer.of(IN6_ADDR_GEN_MODE_NONE) }]),
]);

/** Neither is taken at creation. `hasIpv6`: of the kernel; one without it refuses all of the message (validate_linkmsg() in rtnetlink.c). */
export function markPortByName(name: string, alias: string, hasIpv6: boolean): MessageBody {
  const attributes = [text(IFLA_IFNAME, name), text(IFLA_IFALIAS, alias)];
  return message(RTM_SETLINK, 0, header(0, undefined), hasIpv6 ? [...attributes, NO_IPV6_ADDRESS] : attributes);
}

/** Takes none away that it has. Of a link of a kernel that has IPv6. */
export function makeNoIpv6Address(index: number): MessageBody {
  return message(RTM_SETLINK, 0, header(index, undefined), [NO_IPV6_ADDRESS]);
}

export interface LinkChange {
  /** Of a link that is down. */
  readonly name?: string;
  readonly up?: boolean;
  readonly mac?: string;
  readonly master?: number;
  readonly alias?: string;
  readonly group?: number;
}

export function changeLink(index: number, { name, up, mac, master, alias, group }: LinkChange): MessageBody {
  const attributes: Attribute[] = [];
  if (name !== undefined) attributes.push(text(IFLA_IFNAME, name));
  if (mac !== undefined) attributes.push({ type: IFLA_ADDRESS, value: macBytes(mac) });
  if (master !== undefined) attributes.push(uint32(IFLA_MASTER, master));
  if (alias !== undefined) attributes.push(text(IFLA_IFALIAS, alias));
  if (group !== undefined) attributes.push(uint32(IFLA_GROUP, group));
  return message(RTM_SETLINK, 0, header(index, up), attributes);
}

/** From now on the kernel tells the neighbours (gratuitous ARP) when the link comes up or its MAC is set (ip-sysctl, arp_notify). */
export function announceChanges(index: number): MessageBody {
  return message(RTM_SETLINK, 0, header(index, undefined), [
    nested(IFLA_AF_SPEC, [nested(AF_INET, [nested(IFLA_INET_CONF, [uint32(IPV4_DEVCONF_ARP_NOTIFY, 1)])])]),
  ]);
}

/** Of a veth either end: both go. Done when it is acknowledged. */
export function deleteLink(index: number): MessageBody {
  return message(RTM_DELLINK, 0, header(index, undefined), []);
}

/** All links of the group at once: the kernel waits for their last users once, not once a link. */
export function deleteGroup(group: number): MessageBody {
  return message(RTM_DELLINK, 0, header(0, undefined), [uint32(IFLA_GROUP, group)]);
}

const WITHOUT_STATISTICS = uint32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);

export function getLinkByName(name: string): MessageBody {
  return message(RTM_GETLINK, 0, header(0, undefined), [text(IFLA_IFNAME, name), WITHOUT_STATISTICS]);
}

export function getLinkByIndex(index: number): MessageBody {
  return message(RTM_GETLINK, 0, header(index, undefined), [WITHOUT_STATISTICS]);
}

export function dumpLinks(): MessageBody {
  return message(RTM_GETLINK, NLM_F_DUMP, header(0, undefined), [WITHOUT_STATISTICS]);
}

const OF_LINK = new Set([
  IFLA_ADDRESS,
  IFLA_IFNAME,
  IFLA_LINK,
  IFLA_MASTER,
  IFLA_LINKINFO,
  IFLA_AF_SPEC,
  IFLA_IFALIAS,
  IFLA_GROUP,
  IFLA_LINK_NETNSID,
]);
const OF_LINK_INFO = new Set([IFLA_INFO_KIND, IFLA_INFO_DATA]);
const OF_BRIDGE = new Set([IFLA_BR_MULTI_BOOLOPT]);
/** What the host has from us, whose habits are asked for. */
const OF_OURS = new Set(['bridge', 'veth']);

/** `payload` of an RTM_NEWLINK. Throws MalformedMessage. */
export function decodeLink(payload: Buffer): Link {
  if (payload.length < HEADER_BYTES) throw new MalformedMessage(`a link of ${payload.length} bytes`);
  const attributes = decodeAttributes(payload.subarray(HEADER_BYTES), OF_LINK);
  const info = attributes.get(IFLA_LINKINFO);
  const about = info === undefined ? undefined : decodeAttributes(info, OF_LINK_INFO);
  const kind = readText(about?.get(IFLA_INFO_KIND)) ?? '';
  return {
    index: payload.readInt32LE(4),
    name: readText(attributes.get(IFLA_IFNAME)) ?? '',
    up: (payload.readUInt32LE(8) & IFF_UP) !== 0,
    mac: macText(attributes.get(IFLA_ADDRESS)),
    kind,
    alias: readText(attributes.get(IFLA_IFALIAS)) ?? '',
    master: readUint32(attributes.get(IFLA_MASTER)) ?? 0,
    peer: readUint32(attributes.get(IFLA_LINK)) ?? 0,
    group: readUint32(attributes.get(IFLA_GROUP)) ?? 0,
    peerElsewhere: attributes.has(IFLA_LINK_NETNSID),
    peerNamespace: readNamespaceNumber(attributes.get(IFLA_LINK_NETNSID)),
    running: (payload.readUInt32LE(8) & IFF_RUNNING) !== 0,
    learnsFromBridgeFrames: kind === 'bridge' && learnsFromBridgeFrames(about?.get(IFLA_INFO_DATA)),
    ...ipv6Habits(OF_OURS.has(kind) ? attributes.get(IFLA_AF_SPEC) : undefined),
  };
}

/** Not so where the kernel does not know of it, and nothing can be done. */
function learnsFromBridgeFrames(bridge: Buffer | undefined): boolean {
  const options = bridge === undefined ? undefined : decodeAttributes(bridge, OF_BRIDGE).get(IFLA_BR_MULTI_BOOLOPT);
  const set = readUint32(options);
  return set !== undefined && (set & BR_BOOLOPT_NO_LL_LEARN) === 0;
}

/** None on a kernel without IPv6, and on a link with too small an MTU for it. */
function ipv6Habits(families: Buffer | undefined): Pick<Link, 'makesIpv6Address' | 'acceptsRouters'> {
  const ipv6 = families === undefined ? undefined : decodeAttributes(families).get(AF_INET6);
  const attributes = ipv6 === undefined ? undefined : decodeAttributes(ipv6);
  const mode = attributes?.get(IFLA_INET6_ADDR_GEN_MODE)?.[0];
  return {
    makesIpv6Address: mode !== undefined && mode !== IN6_ADDR_GEN_MODE_NONE,
    acceptsRouters: (attributes?.get(IFLA_INET6_CONF)?.readInt32LE(DEVCONF_ACCEPT_RA * 4) ?? 0) !== 0,
  };
}
