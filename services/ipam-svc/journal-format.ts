// The lease journal's lines: what they say and how they are written and read. Pure.
//
//   <sequence> <operation> <fields…> <crc>\n
//   1 journal 1 5d2f7c1a
//   2 config 1789000000000 {"pools":[…],"reservations":[…]} 0c9a51fe
//   3 lease internal net-server eth0 10.0.5.2 dynamic - 1789000000123 77ab01c3
//   4 release internal net-server eth0 10.0.5.2 1789000000456 e0417d52
//
// `sequence` counts from 1 without gaps, so that a lost line is noticed. `crc` is the CRC-32, eight hex digits, of everything before
// the space in front of it. Fields hold no spaces (names cannot, JSON is written without), and only ASCII.
import * as z from 'zod/mini';
import { formatIpv4, type Ipv4, parseIpv4 } from '../../shared/ipv4/address.ts';
import { CONTAINER_NAME, containerName, interfaceName, poolName, unicastMac } from '../../shared/schema/names.ts';
import { bridgePool, reservation } from '../../shared/schema/network.ts';
import { crc32, crc32Latin1 } from './crc32.ts';

export const configuration = z.strictObject({ pools: z.array(bridgePool), reservations: z.array(reservation) });
export type Configuration = z.output<typeof configuration>;

export interface LeaseKey {
  readonly pool: string;
  readonly container: string;
  readonly interface: string;
}

/** `dynamic`: chosen here, binds until released. `static`: asked for; binds only while nobody else reserves the address. */
export type Origin = 'dynamic' | 'static';

export type Entry =
  /** First line of every file. */
  | { readonly op: 'journal' }
  /** Replaces all pools and reservations, so that a restarted service knows them before anybody tells it. */
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
  readonly entry: Entry;
}

const VERSION = '1';
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
      return ` ${entry.ms} ${JSON.stringify(entry.configuration)}`;
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

function encodeHolder(entry: LeaseKey & { readonly address: Ipv4 }): string {
  return ` ${entry.pool} ${entry.container} ${entry.interface} ${formatIpv4(entry.address)}`;
}

/** A file of another version, which must be neither read nor overwritten. */
export class UnknownJournalVersion extends Error {}

/** bytes[start, end) without the newline. Undefined: not a line that encodeLine wrote. Throws UnknownJournalVersion. */
export function decodeLine(bytes: Buffer, start: number, end: number): Line | undefined {
  const crcAt = end - 8;
  if (crcAt - start < 4 || bytes[crcAt - 1] !== SPACE) return undefined;
  if (crc32(bytes, start, crcAt - 1) !== hexAt(bytes, crcAt)) return undefined;
  const text = bytes.toString('latin1', start, crcAt - 1);
  const sequenceEnd = text.indexOf(' ');
  const sequence = digitsAt(text, 0, sequenceEnd);
  const opEnd = indexOrEnd(text, sequenceEnd + 1);
  if (sequence === undefined || sequence === 0 || text.charCodeAt(0) === ZERO) return undefined;
  // Nearly all lines of a journal are leases, and a full /16 has 65,533 of them to read at start: no arrays, no schemas.
  const entry =
    opEnd - sequenceEnd === 6 && text.startsWith('lease', sequenceEnd + 1)
      ? decodeLease(text, opEnd + 1)
      : decodeFields(text.slice(sequenceEnd + 1, opEnd), text.slice(opEnd + 1).split(' '));
  return entry === undefined ? undefined : { sequence, entry };
}

/** Eight lower-case hex digits as a number; NaN for anything else. */
function hexAt(bytes: Buffer, at: number): number {
  let value = 0;
  for (let index = at; index < at + 8; index += 1) {
    const code = bytes[index] ?? 0;
    const digit = code >= 0x30 && code <= 0x39 ? code - 0x30 : code >= 0x61 && code <= 0x66 ? code - 0x57 : Number.NaN;
    value = value * 16 + digit;
  }
  return value;
}

function decodeFields(op: string, fields: readonly string[]): Entry | undefined {
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

function decodeConfig([msText, json]: readonly string[]): Entry | undefined {
  const ms = Number(msText);
  const parsed = configuration.safeParse(parseJson(json));
  return parsed.success && isCount(ms) ? { op: 'config', ms, configuration: parsed.data } : undefined;
}

/** `<pool> <container> <interface> <address> <origin> <mac> <ms>` from text[at] on. */
function decodeLease(text: string, at: number): Entry | undefined {
  const poolEnd = indexOrEnd(text, at);
  const containerEnd = indexOrEnd(text, poolEnd + 1);
  const nameEnd = indexOrEnd(text, containerEnd + 1);
  const addressEnd = indexOrEnd(text, nameEnd + 1);
  const originEnd = indexOrEnd(text, addressEnd + 1);
  const macEnd = indexOrEnd(text, originEnd + 1);
  const pool = text.slice(at, poolEnd);
  const container = text.slice(poolEnd + 1, containerEnd);
  const name = text.slice(containerEnd + 1, nameEnd);
  const address = parseIpv4(text.slice(nameEnd + 1, addressEnd));
  const origin = text.slice(addressEnd + 1, originEnd);
  const mac = text.slice(originEnd + 1, macEnd);
  const ms = digitsAt(text, macEnd + 1, text.length);
  if (address === undefined || ms === undefined || (origin !== 'dynamic' && origin !== 'static')) return undefined;
  if (!isKnownName(poolName, pool) || !CONTAINER_NAME.test(container) || !isKnownName(interfaceName, name))
    return undefined;
  if (mac !== '-' && !isName(unicastMac, mac)) return undefined;
  return { op: 'lease', pool, container, interface: name, address, origin, mac: mac === '-' ? undefined : mac, ms };
}

/** Where the field that starts at text[at] ends. */
function indexOrEnd(text: string, at: number): number {
  const found = text.indexOf(' ', at);
  return found < 0 ? text.length : found;
}

/** text[at, end) as a number; undefined for anything but 1 to 15 digits. */
function digitsAt(text: string, at: number, end: number): number | undefined {
  if (end <= at || end - at > 15) return undefined;
  let value = 0;
  for (let index = at; index < end; index += 1) {
    const digit = text.charCodeAt(index) - ZERO;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  return value;
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

/** Names of pools and interfaces are few and come again on every line. */
const knownNames = new Map<typeof poolName, string>();

function isKnownName(schema: typeof poolName, text: string): boolean {
  if (knownNames.get(schema) === text) return true;
  if (!isName(schema, text)) return false;
  knownNames.set(schema, text);
  return true;
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
