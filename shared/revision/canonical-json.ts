// JSON in the one form that signatures of states are made over (gibson042.github.io/canonicaljson-spec): keys in the order of their
// code points, no blanks, the shortest strings, hex of escapes in capitals, integers as digits, other numbers as 1.5E0. Pure.

/** `value`: as JSON.parse makes it. Integers beyond 2^53 have lost digits by then and come out otherwise than they were signed. */
export function canonicalJson(value: unknown): string {
  if (typeof value === 'number') return canonicalNumber(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return withHex(JSON.stringify(value), 'toUpperCase');
  const members = Object.entries(value).sort(([a], [b]) => byCodePoint(a, b));
  return `{${members.map(([key, each]) => `${canonicalJson(key)}:${canonicalJson(each)}`).join(',')}}`;
}

/** `canonical` with the hex of its escapes in small letters, over which earlier builds signed; mostly there are none. */
export function withSmallHex(canonical: string): string {
  return withHex(canonical, 'toLowerCase');
}

/** A backslash that is itself escaped begins no escape: it is passed together with the one before it. */
const ESCAPE = /\\(?:u([0-9a-f]{4})|.)/gi;

function withHex(text: string, letters: 'toUpperCase' | 'toLowerCase'): string {
  return text.replace(ESCAPE, (whole, hex?: string) => (hex === undefined ? whole : `\\u${hex[letters]()}`));
}

function canonicalNumber(value: number): string {
  // Also -0, and what is a whole number although it was written as 2.0 or 1e21.
  if (Number.isInteger(value)) return BigInt(value).toString();
  const [significand = '', exponent = ''] = value.toExponential().split('e');
  return `${significand.includes('.') ? significand : `${significand}.0`}E${exponent.replace('+', '')}`;
}

/** UTF-8 bytes are in the order of code points; UTF-16, which JavaScript compares, is not. */
function byCodePoint(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
