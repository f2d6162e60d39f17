// The lease journal's lines: what they say and how they are written and read. Pure.
//
//   <sequence> <operation> <fields…> <crc>\n
//   1 journal 1 5d2f7c1a
//   2 config 1789000000000 {"pools":[…],"reservations":[…]} {"internal":{"net-server/eth0":null}} 0c9a51fe
//   3 lease internal net-server eth0 10.0.5.2 dynamic - 1789000000123 77ab01c3
//   4 release internal net-server eth0 10.0.5.2 1789000000456 e0417d52
//
// `sequence` counts from 1 without gaps, so that a lost line is noticed. `crc` is the CRC-32, eight hex digits, of everything before
// the space in front of it. Fields hold no spaces (names cannot, JSON is written without), and only ASCII. What follows the pools in a `config`
// is passed over by builds that do not know it, and missing in their lines.
import * as z from 'zod/mini';
import { formatIpv4, type Ipv4, parseIpv4 } from '../../shared/ipv4/address.ts';
import { containerName, interfaceName, poolName } from '../../shared/schema/names.ts';
import { bridgePool, type InterfacesByPool, interfacesByPool, reservation } from '../../shared/schema/network.ts';
import { digitsAt, fieldEnd, hexAt, isAt } from './ascii-fields.ts';
import { crc32, crc32Latin1 } from './crc32.ts';
import { decodeLease, type LeaseLine, type Origin } from './lease-line.ts';

const fixedPart = z.strictObject({ pools: z.array(bridgePool), reservations: z.array(reservation) });
export interface Configuration extends z.output<typeof fixedPart> {
  /** Undefined: not told, so whatever holds a lease counts as the revision's. */
  readonly interfaces?: InterfacesByPool | undefined;
}

export interface LeaseKey {
  readonly pool: string;
  readonly container: string;
  readonly interface: string;
}

export type Entry =
  /** First line of every file. */
  | { readonly op: 'journal' }
  /** Replaces all pools, reservations and interfaces, so that a restarted service knows them before anybody tells it. */
  | { readonly op: 'config'; readonly ms: number; readonly configuration: Configuration }
  /** From now on the key has this address and no other; whoever had it has it no longer. `mac` undefined: derived from the address. */
  | ({
      readonly op: 'lease';
      readonly address: Ipv4;
      readonly origin: Origin;
      readonly mac: string | undefined;
      readonly ms: number;
    } & LeaseKey)
  | ({ readonly op: 'release'; readonly address: Ipv4; readonly ms: number } & LeaseKey)
  /** Only in snapshots, in order of release: a used address that nobody has. `home`: the key returns to it when it is free to. */
  | ({ readonly op: 'past'; readonly address: Ipv4; readonly home: boolean; readonly ms: number } & LeaseKey)
  /** Only in snapshots: never to be issued, because a damaged part of an earlier file may have given it to somebody. */
  | { readonly op: 'quarantine'; readonly pool: string; readonly address: Ipv4 }
  /** Only in snapshots: records lost in damage so far, and how many addresses they may have issued in pools unknown then (see damage.ts). */
  | { readonly op: 'doubt'; readonly records: number; readonly addresses: number };

export interface Line {
  readonly sequence: number;
  readonly content: LeaseLine | Entry;
}

const VERSION = '1';
const LEASE = Buffer.from(' lease ');
const SPACE = 0x20;
const ZERO = 0x30;
/** No line that issues an address is shorter: `9 lease a b c 1.1.1.1 static - 1700000000000 00000000` has 53 bytes. */
export const SHORTEST_RECORD_BYTES = 48;
/** No reservation takes less of a `config` line: `{"pool":"a","container":"b","interface":"c","address":"1.1.1.1",…}` */
export const SHORTEST_RESERVATION_BYTES = 64;

export function encodeLine(sequence: number, entry: Entry): string {
  const body = `${sequence} ${entry.op}${encodeFields(entry)}`;
  return `${body} ${crc32Latin1(body).toString(16).padStart(8, '0')}\n`;
}

function encodeFields(entry: Entry): string {
  switch (entry.op) {
    case 'journal':
      return ` ${VERSION}`;
    case 'config':
      return ` ${entry.ms} ${encodeConfiguration(entry.configuration)}`;
    case 'lease':
      return `${encodeHolder(entry)} ${entry.origin} ${entry.mac ?? '-'} ${entry.ms}`;
    case 'release':
      return `${encodeHolder(entry)} ${entry.ms}`;
    case 'past':
      return `${encodeHolder(entry)} ${entry.home ? 'home' : '-'} ${entry.ms}`;
    case 'quarantine':
      return ` ${entry.pool} ${formatIpv4(entry.address)}`;
    case 'doubt':
      return ` ${entry.records} ${entry.addresses}`;
  }
}

function encodeConfiguration({ interfaces, ...fixed }: Configuration): string {
  return interfaces === undefined ? JSON.stringify(fixed) : `${JSON.stringify(fixed)} ${JSON.stringify(interfaces)}`;
}

function encodeHolder(entry: LeaseKey & { readonly address: Ipv4 }): string {
  return ` ${entry.pool} ${entry.container} ${entry.interface} ${formatIpv4(entry.address)}`;
}

/** A file of another version, which must be neither read nor overwritten. */
export class UnknownJournalVersion extends Error {}

/** bytes[start, end) without the newline. Undefined: not a line that encodeLine wrote. Throws UnknownJournalVersion. */
export function decodeLine(bytes: Buffer, start: number, end: number): Line | undefined {
  const bodyEnd = end - 9;
  if (bodyEnd - start < 3 || bytes[bodyEnd] !== SPACE) return undefined;
  if (crc32(bytes, start, bodyEnd) !== hexAt(bytes, bodyEnd + 1)) return undefined;
  const sequenceEnd = fieldEnd(bytes, start, bodyEnd);
  const sequence = digitsAt(bytes, start, sequenceEnd);
  if (sequence === undefined || bytes[start] === ZERO) return undefined;
  const content = isAt(bytes, sequenceEnd, LEASE)
    ? decodeLease(bytes, sequenceEnd + LEASE.length, bodyEnd)
    : decodeFields(bytes.toString('latin1', sequenceEnd + 1, bodyEnd).split(' '));
  return content === undefined ? undefined : { sequence, content };
}

export function entryOf(content: LeaseLine | Entry): Entry {
  if ('op' in content) return content;
  const { pool, bytes, holderAt, holderEnd, address, origin, mac, ms } = content;
  const [container = '', name = ''] = bytes.toString('latin1', holderAt, holderEnd).split(' ');
  return { op: 'lease', pool, container, interface: name, address, origin, mac, ms };
}

function decodeFields([op = '', ...fields]: readonly string[]): Entry | undefined {
  switch (op) {
    case 'journal':
      if (fields[0] !== VERSION) throw new UnknownJournalVersion(`lease journal of version ${fields[0]}`);
      return { op };
    case 'config':
      return decodeConfig(fields);
    case 'release':
    case 'past':
      return decodeEnd(op, fields);
    case 'quarantine': {
      const [pool = '', address = ''] = fields;
      const parsed = parseIpv4(address);
      return parsed === undefined || !isName(poolName, pool) ? undefined : { op, pool, address: parsed };
    }
    case 'doubt': {
      const [records, addresses] = fields.map(Number);
      return isCount(records) && isCount(addresses) ? { op, records, addresses } : undefined;
    }
    default:
      return undefined;
  }
}

function decodeConfig([msText, json, more]: readonly string[]): Entry | undefined {
  const ms = Number(msText);
  const fixed = fixedPart.safeParse(parseJson(json));
  if (!fixed.success || !isCount(ms)) return undefined;
  const { data: interfaces } = interfacesByPool.safeParse(parseJson(more));
  return { op: 'config', ms, configuration: { ...fixed.data, ...(interfaces === undefined ? {} : { interfaces }) } };
}

function decodeEnd(op: 'release' | 'past', fields: readonly string[]): Entry | undefined {
  const holder = decodeHolder(fields);
  const ms = Number(fields.at(-1));
  if (holder === undefined || !isCount(ms) || fields.length !== (op === 'past' ? 6 : 5)) return undefined;
  return op === 'past' ? { op, ...holder, home: fields[4] === 'home', ms } : { op, ...holder, ms };
}

function decodeHolder(fields: readonly string[]): (LeaseKey & { readonly address: Ipv4 }) | undefined {
  const [pool = '', container = '', name = '', addressText = ''] = fields;
  const address = parseIpv4(addressText);
  if (address === undefined || !isName(poolName, pool)) return undefined;
  if (!isName(containerName, container) || !isName(interfaceName, name)) return undefined;
  return { pool, container, interface: name, address };
}

function isName(schema: typeof poolName, text: string): boolean {
  return schema.safeParse(text).success;
}

function isCount(value: number | undefined): value is number {
  return Number.isSafeInteger(value) && (value ?? -1) >= 0;
}

function parseJson(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch {
    return undefined;
  }
}
