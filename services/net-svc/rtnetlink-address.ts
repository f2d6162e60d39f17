// IPv4 addresses and routes, and the IPv6 addresses that links make themselves, in rtnetlink's words (rtnetlink(7), linux/if_addr.h, linux/rtnetlink.h). Pure.
import {
  decodeAttributes,
  encodeAttributes,
  MalformedMessage,
  type MessageBody,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_REPLACE,
  readUint32,
  uint32,
} from './netlink-message.ts';
import {
  AF_INET,
  AF_INET6,
  IFA_ADDRESS,
  IFA_BROADCAST,
  IFA_LOCAL,
  RT_SCOPE_LINK,
  RT_SCOPE_UNIVERSE,
  RT_TABLE_LOCAL,
  RT_TABLE_MAIN,
  RTA_DST,
  RTA_GATEWAY,
  RTA_OIF,
  RTA_PRIORITY,
  RTM_DELADDR,
  RTM_GETADDR,
  RTM_GETROUTE,
  RTM_NEWADDR,
  RTM_NEWROUTE,
  RTN_UNICAST,
  RTPROT_STATIC,
} from './rtnetlink-codes.ts';

const ADDRESS_HEADER_BYTES = 8;
const ROUTE_HEADER_BYTES = 12;

export interface InterfaceAddress {
  readonly linkIndex: number;
  /** a.b.c.d */
  readonly address: string;
  readonly prefixLength: number;
}

/** A default route of the main table with metric 0. */
export interface DefaultRoute {
  readonly linkIndex: number;
  readonly gateway: string;
}

const ipv4Bytes = (address: string): Buffer => Buffer.from(address.split('.').map(Number));
const ipv4Text = (bytes: Buffer | undefined): string => bytes?.join('.') ?? '';

/** The subnet's last address. */
export function broadcastOf({ address, prefixLength }: Pick<InterfaceAddress, 'address' | 'prefixLength'>): string {
  const broadcast = Buffer.alloc(4);
  broadcast.writeUInt32BE((ipv4Bytes(address).readUInt32BE() | (0xffffffff >>> prefixLength)) >>> 0);
  return ipv4Text(broadcast);
}

function addressMessage(type: number, flags: number, wanted: InterfaceAddress): MessageBody {
  const header = Buffer.alloc(ADDRESS_HEADER_BYTES);
  header.writeUInt8(AF_INET, 0);
  header.writeUInt8(wanted.prefixLength, 1);
  header.writeUInt32LE(wanted.linkIndex, 4);
  const attributes = encodeAttributes([
    { type: IFA_LOCAL, value: ipv4Bytes(wanted.address) },
    { type: IFA_ADDRESS, value: ipv4Bytes(wanted.address) },
    { type: IFA_BROADCAST, value: ipv4Bytes(broadcastOf(wanted)) },
  ]);
  return { type, flags, payload: Buffer.concat([header, attributes]) };
}

/** Also where it is there already: deleting a primary address may have taken it along, or not. */
export function setAddress(wanted: InterfaceAddress): MessageBody {
  return addressMessage(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, wanted);
}

export function deleteAddress(present: InterfaceAddress): MessageBody {
  return addressMessage(RTM_DELADDR, 0, present);
}

/** `linkIndex`: of that link alone, where the kernel filters. */
export function dumpAddresses(linkIndex = 0): MessageBody {
  const header = Buffer.alloc(ADDRESS_HEADER_BYTES);
  header.writeUInt8(AF_INET, 0);
  header.writeUInt32LE(linkIndex, 4);
  return { type: RTM_GETADDR, flags: NLM_F_DUMP, payload: header };
}

/** `payload` of an RTM_NEWADDR. Throws MalformedMessage. */
export function decodeAddress(payload: Buffer): InterfaceAddress {
  if (payload.length < ADDRESS_HEADER_BYTES) throw new MalformedMessage(`an address of ${payload.length} bytes`);
  const attributes = decodeAttributes(payload.subarray(ADDRESS_HEADER_BYTES));
  return {
    linkIndex: payload.readUInt32LE(4),
    address: ipv4Text(attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS)),
    prefixLength: payload.readUInt8(1),
  };
}

/** An IPv6 address that is good for its link only, as the kernel makes one for each. */
export interface LinkLocalAddress {
  readonly linkIndex: number;
  readonly bytes: Buffer;
  readonly prefixLength: number;
}

export function dumpIpv6Addresses(): MessageBody {
  const header = Buffer.alloc(ADDRESS_HEADER_BYTES);
  header.writeUInt8(AF_INET6, 0);
  return { type: RTM_GETADDR, flags: NLM_F_DUMP, payload: header };
}

/** `payload` of an RTM_NEWADDR; undefined for an address of another scope. Throws MalformedMessage. */
export function decodeLinkLocal(payload: Buffer): LinkLocalAddress | undefined {
  if (payload.length < ADDRESS_HEADER_BYTES) throw new MalformedMessage(`an address of ${payload.length} bytes`);
  const bytes = decodeAttributes(payload.subarray(ADDRESS_HEADER_BYTES)).get(IFA_ADDRESS);
  if (payload.readUInt8(0) !== AF_INET6 || payload.readUInt8(3) !== RT_SCOPE_LINK || bytes === undefined)
    return undefined;
  return { linkIndex: payload.readUInt32LE(4), bytes, prefixLength: payload.readUInt8(1) };
}

export function deleteLinkLocal({ linkIndex, bytes, prefixLength }: LinkLocalAddress): MessageBody {
  const header = Buffer.alloc(ADDRESS_HEADER_BYTES);
  header.writeUInt8(AF_INET6, 0);
  header.writeUInt8(prefixLength, 1);
  header.writeUInt32LE(linkIndex, 4);
  const payload = Buffer.concat([header, encodeAttributes([{ type: IFA_ADDRESS, value: bytes }])]);
  return { type: RTM_DELADDR, flags: 0, payload };
}

/** Takes the place of another default route with metric 0, leaves others (a container's own) alone. */
export function replaceDefaultRoute({ linkIndex, gateway }: DefaultRoute): MessageBody {
  const header = Buffer.alloc(ROUTE_HEADER_BYTES);
  header.set([AF_INET, 0, 0, 0, RT_TABLE_MAIN, RTPROT_STATIC, RT_SCOPE_UNIVERSE, RTN_UNICAST]);
  const attributes = encodeAttributes([{ type: RTA_GATEWAY, value: ipv4Bytes(gateway) }, uint32(RTA_OIF, linkIndex)]);
  return { type: RTM_NEWROUTE, flags: NLM_F_CREATE | NLM_F_REPLACE, payload: Buffer.concat([header, attributes]) };
}

export function dumpRoutes(): MessageBody {
  const header = Buffer.alloc(ROUTE_HEADER_BYTES);
  header.writeUInt8(AF_INET, 0);
  return { type: RTM_GETROUTE, flags: NLM_F_DUMP, payload: header };
}

/** Of the main table, for who asks a kernel that filters; it tells them by their destination, the default routes first (fib_trie.c). */
export function dumpMainRoutes(): MessageBody {
  const { payload, ...message } = dumpRoutes();
  payload.writeUInt8(RT_TABLE_MAIN, 4);
  return { ...message, payload };
}

/** Whether the route is to somewhere else than from 0.0.0.0 on: no default route follows it in `dumpMainRoutes`. */
export function isBeyondDefaultRoutes(payload: Buffer): boolean {
  const destination = decodeAttributes(payload.subarray(ROUTE_HEADER_BYTES)).get(RTA_DST);
  return destination?.some((byte) => byte !== 0) === true;
}

/** `payload` of an RTM_NEWROUTE; undefined for all but default routes of the main table with metric 0. Throws MalformedMessage. */
export function decodeDefaultRoute(payload: Buffer): DefaultRoute | undefined {
  if (payload.length < ROUTE_HEADER_BYTES) throw new MalformedMessage(`a route of ${payload.length} bytes`);
  if (payload.readUInt8(1) !== 0 || payload.readUInt8(4) !== RT_TABLE_MAIN) return undefined;
  const attributes = decodeAttributes(payload.subarray(ROUTE_HEADER_BYTES));
  if ((readUint32(attributes.get(RTA_PRIORITY)) ?? 0) !== 0) return undefined;
  return {
    linkIndex: readUint32(attributes.get(RTA_OIF)) ?? 0,
    gateway: ipv4Text(attributes.get(RTA_GATEWAY)),
  };
}

/** A route to somewhere else, whatever its table, kind and metric. */
export interface Route {
  /** 0 for a route over several links, or over none (blackhole, …). */
  readonly linkIndex: number;
  /** a.b.c.d */
  readonly destination: string;
  /** 0: a default route. */
  readonly prefixLength: number;
}

/** `payload` of an RTM_NEWROUTE; undefined for the kernel's own entries of its addresses (table local). Throws MalformedMessage. */
export function decodeRoute(payload: Buffer): Route | undefined {
  if (payload.length < ROUTE_HEADER_BYTES) throw new MalformedMessage(`a route of ${payload.length} bytes`);
  if (payload.readUInt8(4) === RT_TABLE_LOCAL) return undefined;
  const attributes = decodeAttributes(payload.subarray(ROUTE_HEADER_BYTES));
  return {
    linkIndex: readUint32(attributes.get(RTA_OIF)) ?? 0,
    destination: ipv4Text(attributes.get(RTA_DST)) || '0.0.0.0',
    prefixLength: payload.readUInt8(1),
  };
}
