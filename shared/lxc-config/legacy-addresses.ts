// IPv4 addresses baked into a container's own `lxc.net.*` lines: the pools must never give them to somebody else. Pure.
import { parseIpv4 } from '../ipv4/address.ts';
import type { LxcEntry } from './entry.ts';

export interface LegacyAddress {
  readonly interfaceIndex: number;
  /** Four decimal octets. */
  readonly address: string;
  /** 0–32; undefined when the line has none (LXC then assumes the class of old). */
  readonly prefixLength: number | undefined;
  readonly line: number;
  readonly source: string;
}

const ADDRESS_KEY = /^lxc\.net\.(\d+)\.ipv4\.address$/;
/** `lxc.net =` takes all interfaces back, `lxc.net.N =` that one. */
const CLEARING_KEY = /^lxc\.net(?:\.(\d+))?$/;

/** Of `lxc.net.N.ipv4.address = A.B.C.D[/M] [broadcast]`; `auto`, `dhcp` and what is no address are passed over. */
export function legacyAddresses(entries: readonly LxcEntry[]): LegacyAddress[] {
  const found: LegacyAddress[] = [];
  const cleared = new Set<number>();
  // From the end, where it is known already what will be taken back.
  for (const { key, value, line, source } of entries.toReversed()) {
    const clearing = value === '' ? (CLEARING_KEY.exec(key) ?? ADDRESS_KEY.exec(key)) : null;
    if (clearing !== null && clearing[1] === undefined) break;
    if (clearing !== null) cleared.add(Number(clearing[1]));
    const interfaceIndex = Number(ADDRESS_KEY.exec(key)?.[1]);
    const [address = '', prefix] = (value.split(/\s+/)[0] ?? '').split('/');
    const prefixLength = prefix === undefined ? undefined : Number(prefix);
    if (Number.isNaN(interfaceIndex) || cleared.has(interfaceIndex) || parseIpv4(address) === undefined) continue;
    if (prefixLength !== undefined && !(Number.isInteger(prefixLength) && prefixLength <= 32)) continue;
    found.push({ interfaceIndex, address, prefixLength, line, source });
  }
  return found.reverse();
}
