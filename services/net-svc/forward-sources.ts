// Where a rule of an nft table leads what comes in from a pool's bridge, or of its subnet, as `nft -s list` prints it (nft 1.0). In: the
// rule, with the elements of its sets in their place; out: its verdicts for that. Pure.
import { parseIpv4 } from '../../shared/ipv4/address.ts';
import { mustParseSubnet, parseSubnet, type Subnet } from '../../shared/ipv4/subnet.ts';
import type { Pool } from '../../shared/schema/network.ts';

export type Source = Pick<Pool, 'bridge' | 'subnet'>;

/** Fields of which one is the sender's, `vmap` where they lead to verdicts, and one value, several, or a set. */
const MATCH =
  /((?:[a-z][\w ]* \. )*(?:iif(?:name)?|ip saddr)(?: \. [a-z]\w*(?: [a-z]\w*)?)*) (vmap )?(\{[^}]*\}|"[^"]*"|@\S+|[\d./-]+)/g;
const VERDICT = / (accept|(?:jump|goto) \S+)$/;

/** What the rule says of the source in words of nft's, `accept` or `jump there`. What else it asks for is somebody's decision. */
export function verdictsFor(rule: string, source: Source): string[] {
  return [...rule.matchAll(MATCH)].flatMap(([, fields = '', map, values = '']) => {
    const positions = fields.split(' . ');
    return values
      .replaceAll(/[{}]/g, '')
      .split(',')
      .map((element) => element.split(' : '))
      .filter(([key = '']) => isOf(key.split(' . '), positions, source))
      .flatMap(([, verdict = '']) => (map === undefined ? (VERDICT.exec(rule)?.[1] ?? []) : verdict.trim()));
  });
}

/**
 * Names of the sets and maps that the rule asks about the sender, and whose elements are not in their place. A set by which nobody is let through is
 * left out: it may be a list of thousands who are banned, that changes with each of them.
 */
export function setsAsked(rule: string, accepts: (verdict: string) => boolean): string[] {
  const accepted = accepts(VERDICT.exec(rule)?.[1] ?? 'drop');
  return [...rule.matchAll(MATCH)].flatMap(([, , map, values = '']) =>
    values.startsWith('@') && (map !== undefined || accepted) ? values.slice(1) : [],
  );
}

export function withElements(rule: string, elements: ReadonlyMap<string, string | undefined>): string {
  return rule.replaceAll(/@(\S+)/g, (asked, name) => elements.get(name) ?? asked);
}

/** Of a set or a map, as it stands in a rule. */
export function elementsOf(listing: string): string {
  const [, elements = '{ }'] = /elements = (\{[^}]*\})/.exec(listing.replaceAll(/ comment "[^"]*"/g, '')) ?? [];
  return elements.replaceAll(/\s+/g, ' ');
}

function isOf(key: readonly string[], positions: readonly string[], { bridge, subnet }: Source): boolean {
  return positions.every((field, at) => {
    const value = key[at]?.trim() ?? '';
    if (/(?:^| )iif(?:name)?$/.test(field)) return isNameOf(value, bridge);
    return !/(?:^| )ip saddr$/.test(field) || holds(value, mustParseSubnet(subnet));
  });
}

function isNameOf(value: string, bridge: string): boolean {
  const name = /^"([^"]*)"/.exec(value)?.[1] ?? '';
  return name === bridge || (name.endsWith('*') && bridge.startsWith(name.slice(0, -1)));
}

/** `value`: an address, a subnet, or the first and the last of a range; with more behind it in sets that forget. */
function holds(value: string, { first, last }: Subnet): boolean {
  const [text = ''] = value.split(' ');
  const whole = parseSubnet(text);
  if (whole.ok) return whole.subnet.first <= first && last <= whole.subnet.last;
  const [from = Number.POSITIVE_INFINITY, to = from] = text.split('-').map(parseIpv4);
  return from <= first && last <= to;
}
