// Who may send what on the ports of bridges, as an nft table: a container's port passes frames of its own MAC and the container's
// addresses only. Pure.
import type { Lease } from '../../shared/schema/network.ts';
import { hostInterfaceName } from './link-names.ts';

/** The nft table that is ours as a whole, family bridge. */
export const SENDERS_TABLE = 'berth';

/** What a container adds to the sets. */
export interface SenderElement {
  readonly set: 'ports' | 'links' | 'senders';
  readonly port: string;
  readonly mac?: string;
  readonly address?: string;
}

const SETS = {
  ports: 'ifname',
  links: 'ifname . ether_addr',
  senders: 'ifname . ether_addr . ipv4_addr',
} as const satisfies Readonly<Record<SenderElement['set'], string>>;
const SET_NAMES = ['ports', 'links', 'senders'] as const;

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
  return [
    ...ports.map((link) => ({ set: 'links', ...link }) as const),
    ...ports.flatMap((link) => [...addresses].map((address) => ({ set: 'senders', ...link, address }) as const)),
    // Last: from here on what is not in the others is dropped.
    ...ports.map(({ port }) => ({ set: 'ports', port }) as const),
  ];
}

function textOf({ port, mac, address }: SenderElement): string {
  return [`"${port}"`, mac, address].filter((part) => part !== undefined).join(' . ');
}

/** Beyond the sender: a router is the pool's to name, also where IPv6 is containers' own. */
const RULES = [
  'iifname != @ports accept',
  'iifname . arp saddr ether . arp saddr ip @senders iifname . ether saddr @links accept',
  'iifname . ether saddr . ip saddr @senders accept',
  'icmpv6 type { nd-router-advert, nd-redirect } drop',
  'ether type ip6 iifname . ether saddr @links accept',
  'counter drop',
];

/** Of the elements of all containers. Ports of nobody's lease are not looked at: bridges may be shared. */
export function senderTable(elements: readonly SenderElement[]): string {
  const sets = SET_NAMES.flatMap((set) => {
    const own = elements.filter((element) => element.set === set).map(textOf);
    const list = own.length === 0 ? [] : [`\t\telements = { ${own.join(', ')} }`];
    return [`\tset ${set} {`, `\t\ttype ${SETS[set]}`, ...list, '\t}'];
  });
  return [
    `table bridge ${SENDERS_TABLE} {`,
    ...sets,
    '\tchain from_containers {',
    '\t\ttype filter hook prerouting priority dstnat; policy accept;',
    ...RULES.map((rule) => `\t\t${rule}`),
    '\t}',
    '}',
    '',
  ].join('\n');
}

/** One transaction: the first line makes the second one legal when there is no such table yet. */
export function sendersReplace(elements: readonly SenderElement[]): string {
  return `${sendersRemove()}${senderTable(elements)}`;
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
