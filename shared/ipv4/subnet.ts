// IPv4 subnets: parsing, bounds, membership and overlap.
import { formatIpv4, type Ipv4, parseIpv4 } from './address.ts';

export interface Subnet {
  /** The network address: host bits are zero. */
  readonly first: Ipv4;
  /** The broadcast address of prefixes up to /30. */
  readonly last: Ipv4;
  /** 0–32. */
  readonly prefixLength: number;
}

export type ParsedSubnet =
  | { readonly ok: true; readonly subnet: Subnet }
  /** `aligned` is what the text would be with clean host bits, when it is a CIDR at all. */
  | { readonly ok: false; readonly aligned: string | undefined };

/** Addresses of a subnet, 1 (/32) to 2^32 (/0). */
export function subnetSize(subnet: Subnet): number {
  return subnet.last - subnet.first + 1;
}

/** `10.0.3.0/24`; host bits must be zero. */
export function parseSubnet(text: string): ParsedSubnet {
  const match = /^([\d.]+)\/(0|[1-9]\d?)$/.exec(text);
  const address = parseIpv4(match?.[1] ?? '');
  const prefixLength = Number(match?.[2]);
  if (address === undefined || !(prefixLength <= 32)) return { ok: false, aligned: undefined };
  const size = 2 ** (32 - prefixLength);
  const first = address - (address % size);
  if (first !== address) return { ok: false, aligned: `${formatIpv4(first)}/${prefixLength}` };
  return { ok: true, subnet: { first, last: first + size - 1, prefixLength } };
}

/** For text that a schema and checkPools have checked; throws on anything else. */
export function mustParseSubnet(text: string): Subnet {
  const parsed = parseSubnet(text);
  if (!parsed.ok) throw new Error(`not an IPv4 subnet: ${text}`);
  return parsed.subnet;
}

export function subnetContains(subnet: Subnet, address: Ipv4): boolean {
  return address >= subnet.first && address <= subnet.last;
}

export function subnetsOverlap(a: Subnet, b: Subnet): boolean {
  return a.first <= b.last && b.first <= a.last;
}
