// Reads the fields of a line of ASCII text where it stands in bytes, without making a string. Pure.
import type { Ipv4 } from '../../shared/ipv4/address.ts';

const SPACE = 0x20;
const DOT = 0x2e;
const ZERO = 0x30;

/** Where the field that starts at bytes[at] ends, `end` at the latest. */
export function fieldEnd(bytes: Buffer, at: number, end: number, separator = SPACE): number {
  let found = at;
  while (found < end && bytes[found] !== separator) found += 1;
  return found;
}

/** Whether `expected` is what stands at bytes[at]. */
export function isAt(bytes: Buffer, at: number, expected: Buffer): boolean {
  for (let index = 0; index < expected.length; index += 1) if (bytes[at + index] !== expected[index]) return false;
  return true;
}

/** bytes[at, end) as a number; undefined for anything but 1 to 15 digits. */
export function digitsAt(bytes: Buffer, at: number, end: number): number | undefined {
  if (end <= at || end - at > 15) return undefined;
  let value = 0;
  for (let index = at; index < end; index += 1) {
    const digit = (bytes[index] ?? 0) - ZERO;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  return value;
}

/** bytes[at, end) as parseIpv4 reads it. */
export function addressAt(bytes: Buffer, at: number, end: number): Ipv4 | undefined {
  let address = 0;
  let from = at;
  for (let octets = 1; octets <= 4; octets += 1) {
    const to = octets === 4 ? end : fieldEnd(bytes, from, end, DOT);
    const octet = digitsAt(bytes, from, to);
    if (octet === undefined || octet > 255 || (bytes[from] === ZERO && to - from > 1)) return undefined;
    address = address * 256 + octet;
    from = to + 1;
  }
  return address;
}

/** Eight lower-case hex digits as a number; NaN for anything else. */
export function hexAt(bytes: Buffer, at: number): number {
  let value = 0;
  for (let index = at; index < at + 8; index += 1) {
    const code = bytes[index] ?? 0;
    const digit = code >= 0x30 && code <= 0x39 ? code - 0x30 : code >= 0x61 && code <= 0x66 ? code - 0x57 : Number.NaN;
    value = value * 16 + digit;
  }
  return value;
}
