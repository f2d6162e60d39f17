// Who may send what on the ports of bridges, as an nft table: a container's port passes frames of its own MAC and the container's
// addresses only, and of IPv6 no address that follows from a neighbour's MAC. Pure.
import type { Lease } from '../../shared/schema/network.ts';
import { hostInterfaceName } from './link-names.ts';

/** The nft table that is ours as a whole, family bridge. */
export const SENDERS_TABLE = 'berth';

/** What a container adds to the sets. */
export interface SenderElement {
  readonly set: 'ports' | 'links' | 'senders' | 'identifiers' | 'own';
  readonly port?: string;
  readonly mac?: string;
  readonly address?: string;
  /** The lower half of an IPv6 address, 16 hexadecimal digits. */
  readonly identifier?: string;
}

/** `ipv4`: as an nft does it that knows no bytes of a packet as part of a key (before 1.0.3). */
export type SenderExtent = 'all' | 'ipv4';

/**
 * The lower half of an address of IPv6: of the sender, and of a message about neighbours (RFC 4861, 4.3 and 4.4). As bytes, since what nft
 * calls the latter it knows from 1.0.9 on only.
 */
const SOURCE = '@nh,128,64';
const TARGET = '@th,128,64';

const SETS = {
  ports: 'type ifname',
  links: 'type ifname . ether_addr',
  senders: 'type ifname . ether_addr . ipv4_addr',
  identifiers: `typeof ${SOURCE}`,
  own: `typeof iifname . ${SOURCE}`,
} as const satisfies Readonly<Record<SenderElement['set'], string>>;
const SET_NAMES = {
  all: ['ports', 'links', 'senders', 'identifiers', 'own'],
  ipv4: ['ports', 'links', 'senders'],
} as const satisfies Readonly<Record<SenderExtent, readonly SenderElement['set'][]>>;

export function isWithin(extent: SenderExtent, { set }: SenderElement): boolean {
  return SET_NAMES[extent].some((name) => name === set);
}

/** Who asks whether an address is free has none yet (RFC 5227, 2.1.1). */
const NO_ADDRESS = '0.0.0.0';

/**
 * `leases`: all of one container; `isPort`: its interface is a port of a bridge. Each port passes every address of the container: Linux
 * answers from the one that it was asked at, by the interface of the way back, and tells at each interface that it has them all (ARP).
 */
export function senderElements(leases: readonly Lease[], isPort: (lease: Lease) => boolean): readonly SenderElement[] {
  const addresses = new Set([...leases.map(({ address }) => address), NO_ADDRESS]);
  const ports = leases
    .filter(isPort)
    .map(({ container, interface: name, mac }) => ({ port: hostInterfaceName(container, name), mac }));
  const identifiers = ports.length === 0 ? [] : [...new Set(leases.map(({ mac }) => identifierOf(mac)))];
  return [
    ...ports.map((link) => ({ set: 'links', ...link }) as const),
    ...ports.flatMap((link) => [...addresses].map((address) => ({ set: 'senders', ...link, address }) as const)),
    ...ports.flatMap(({ port }) => identifiers.map((identifier) => ({ set: 'own', port, identifier }) as const)),
    ...identifiers.map((identifier) => ({ set: 'identifiers', identifier }) as const),
    // Last: from here on what is not in the others is dropped.
    ...ports.map(({ port }) => ({ set: 'ports', port }) as const),
  ];
}

/** What the kernel makes of a MAC for addresses of its own: `ff:fe` in the middle, and the bit of local ones turned (RFC 4291, appendix A). */
function identifierOf(mac: string): string {
  const digits = mac.replaceAll(':', '');
  const first = (Number.parseInt(digits.slice(0, 2), 16) ^ 2).toString(16).padStart(2, '0');
  return `${first}${digits.slice(2, 6)}fffe${digits.slice(6)}`;
}

function textOf({ port, mac, address, identifier }: SenderElement): string {
  const name = port === undefined ? undefined : `"${port}"`;
  const number = identifier === undefined ? undefined : `0x${BigInt(`0x${identifier}`).toString(16)}`;
  return [name, mac, address, number].filter((part) => part !== undefined).join(' . ');
}

const isNeighbours = (identifier: string): string => `${identifier} @identifiers iifname . ${identifier} != @own`;

/** Others' addresses of IPv6 are known where they follow from their MAC; any else are containers' own business. */
const IPV6_RULES = [
  `ether type ip6 ${isNeighbours(SOURCE)} counter drop`,
  `icmpv6 type nd-neighbor-advert ${isNeighbours(TARGET)} counter drop`,
  // Whoever asks whether an address is free keeps another from taking it at the same time (RFC 4862, 5.4.3).
  `ip6 saddr :: icmpv6 type nd-neighbor-solicit ${isNeighbours(TARGET)} counter drop`,
];

/** Beyond the sender: a router is the pool's to name, also where IPv6 is containers' own. */
const rules = (extent: SenderExtent): readonly string[] => [
  'iifname != @ports accept',
  'iifname . arp saddr ether . arp saddr ip @senders iifname . ether saddr @links accept',
  'iifname . ether saddr . ip saddr @senders accept',
  'icmpv6 type { nd-router-advert, nd-redirect } drop',
  ...(extent === 'all' ? IPV6_RULES : []),
  'ether type ip6 iifname . ether saddr @links accept',
  'counter drop',
];

/** Of the elements of all containers. Ports of nobody's lease are not looked at: bridges may be shared. */
export function senderTable(elements: readonly SenderElement[], extent: SenderExtent = 'all'): string {
  const sets = SET_NAMES[extent].flatMap((set) => {
    const own = elements.filter((element) => element.set === set).map(textOf);
    const list = own.length === 0 ? [] : [`\t\telements = { ${own.join(', ')} }`];
    return [`\tset ${set} {`, `\t\t${SETS[set]}`, ...list, '\t}'];
  });
  return [
    `table bridge ${SENDERS_TABLE} {`,
    ...sets,
    '\tchain from_containers {',
    '\t\ttype filter hook prerouting priority dstnat; policy accept;',
    ...rules(extent).map((rule) => `\t\t${rule}`),
    '\t}',
    '}',
    '',
  ].join('\n');
}

/** One transaction: the first line makes the second one legal when there is no such table yet. */
export function sendersReplace(elements: readonly SenderElement[], extent: SenderExtent = 'all'): string {
  return `${sendersRemove()}${senderTable(elements, extent)}`;
}

export function sendersRemove(): string {
  return `table bridge ${SENDERS_TABLE}\ndelete table bridge ${SENDERS_TABLE}\n`;
}

/** The same for tables that do the same, as nft lists them or as they are written here: the kernel keeps elements in no order. */
export function comparableTable(table: string): string {
  const parts: string[] = [];
  let at = 0;
  for (const found of table.matchAll(/elements = \{([^}]*)\}/g)) {
    parts.push(table.slice(at, found.index).replaceAll(/\s+/g, ' '));
    const elements = (found[1] ?? '').split(',').map((element) => element.replaceAll(/\s+/g, ' ').trim());
    parts.push(elements.sort().join());
    at = found.index + found[0].length;
  }
  return [...parts, table.slice(at).replaceAll(/\s+/g, ' ').trim()].join('');
}
