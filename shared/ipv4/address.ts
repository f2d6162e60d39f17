// IPv4 addresses as numbers: parsing, writing, and the MAC address that belongs to one.

/** An address as an unsigned 32-bit number, the first octet the most significant. */
export type Ipv4 = number;

const DOT = 46;
const ZERO = 48;

/**
 * `10.0.3.2` → number; undefined for anything but four decimal octets without leading zeros (`010` is octal to inet_aton(3)).
 * By character codes: a journal of a full /16 has 65,533 of these to read at start.
 */
export function parseIpv4(text: string): Ipv4 | undefined {
  let address = 0;
  let octet = 0;
  let octets = 0;
  let digits = 0;
  for (let at = 0; at <= text.length; at += 1) {
    const code = at === text.length ? DOT : text.charCodeAt(at);
    if (code === DOT) {
      if (digits === 0 || octets === 4) return undefined;
      address = address * 256 + octet;
      octets += 1;
      octet = 0;
      digits = 0;
      continue;
    }
    const digit = code - ZERO;
    if (digit < 0 || digit > 9 || (digits > 0 && octet === 0)) return undefined;
    octet = octet * 10 + digit;
    digits += 1;
    if (octet > 255) return undefined;
  }
  return octets === 4 ? address : undefined;
}

/** For text that a schema has checked; throws on anything else. */
export function mustParseIpv4(text: string): Ipv4 {
  const address = parseIpv4(text);
  if (address === undefined) throw new Error(`not an IPv4 address: ${text}`);
  return address;
}

export function formatIpv4(address: Ipv4): string {
  return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;
}

/** Every byte as two lower-case hex digits. */
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** Locally administered and unicast (IEEE 802: bits 1 and 0 of the first octet), unique as long as the addresses are. */
export function macOf(address: Ipv4): string {
  return `02:00:${HEX[address >>> 24]}:${HEX[(address >>> 16) & 255]}:${HEX[(address >>> 8) & 255]}:${HEX[address & 255]}`;
}
