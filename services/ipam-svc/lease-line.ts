// A lease as its line has it, read where it stands: a full /16 has 65,533 of them to read at start, and a string or a schema for each of their
// fields took most of that time. Pure.
import type { Ipv4 } from '../../shared/ipv4/address.ts';
import { interfaceName, poolName, unicastMac } from '../../shared/schema/names.ts';
import { addressAt, digitsAt, fieldEnd, isAt } from './ascii-fields.ts';

/** `dynamic`: chosen here, binds until released. `static`: asked for; binds only while nobody else reserves the address. */
export type Origin = 'dynamic' | 'static';

export interface LeaseLine {
  readonly pool: string;
  /** `<container> <interface>` is bytes[holderAt, holderEnd). */
  readonly bytes: Buffer;
  readonly holderAt: number;
  readonly holderEnd: number;
  readonly address: Ipv4;
  readonly origin: Origin;
  readonly mac: string | undefined;
  readonly ms: number;
}

const DYNAMIC = Buffer.from(' dynamic ');
const STATIC = Buffer.from(' static ');
const NO_MAC = Buffer.from(' - ');

/** `<pool> <container> <interface> <address> <origin> <mac> <ms>` in bytes[at, end). */
export function decodeLease(bytes: Buffer, at: number, end: number): LeaseLine | undefined {
  const poolEnd = fieldEnd(bytes, at, end);
  const containerEnd = fieldEnd(bytes, poolEnd + 1, end);
  const holderEnd = fieldEnd(bytes, containerEnd + 1, end);
  const addressEnd = fieldEnd(bytes, holderEnd + 1, end);
  const originEnd = fieldEnd(bytes, addressEnd + 1, end);
  const macEnd = fieldEnd(bytes, originEnd + 1, end);
  const pool = poolAt(bytes, at, poolEnd);
  const address = addressAt(bytes, holderEnd + 1, addressEnd);
  const origin = isAt(bytes, addressEnd, DYNAMIC) ? 'dynamic' : isAt(bytes, addressEnd, STATIC) ? 'static' : undefined;
  const mac = isAt(bytes, originEnd, NO_MAC) ? undefined : bytes.toString('latin1', originEnd + 1, macEnd);
  const ms = digitsAt(bytes, macEnd + 1, end);
  if (address === undefined || ms === undefined || origin === undefined || pool === undefined) return undefined;
  if (!isContainerName(bytes, poolEnd + 1, containerEnd)) return undefined;
  if (interfaceAt(bytes, containerEnd + 1, holderEnd) === undefined) return undefined;
  if (mac !== undefined && !unicastMac.safeParse(mac).success) return undefined;
  return { pool, bytes, holderAt: poolEnd + 1, holderEnd, address, origin, mac, ms };
}

/** Names of pools and interfaces are few and come again on every line: one that is the last one's again is not checked again. */
function createNameReader(schema: typeof poolName): (bytes: Buffer, at: number, end: number) => string | undefined {
  let last = Buffer.alloc(0);
  let name = '';
  return (bytes, at, end) => {
    if (name !== '' && end - at === last.length && isAt(bytes, at, last)) return name;
    const text = bytes.toString('latin1', at, end);
    if (!schema.safeParse(text).success) return undefined;
    last = Buffer.from(text);
    name = text;
    return name;
  };
}

const poolAt = createNameReader(poolName);
const interfaceAt = createNameReader(interfaceName);

const LONGEST_CONTAINER = 63;

/** As the schema containerName. */
function isContainerName(bytes: Buffer, at: number, end: number): boolean {
  if (end <= at || end - at > LONGEST_CONTAINER || !isAlphanumeric(bytes[at] ?? 0)) return false;
  for (let index = at + 1; index < end; index += 1) {
    const byte = bytes[index] ?? 0;
    if (!isAlphanumeric(byte) && byte !== 0x2e && byte !== 0x5f && byte !== 0x2d) return false;
  }
  return true;
}

function isAlphanumeric(byte: number): boolean {
  const lower = byte | 0x20;
  return (byte >= 0x30 && byte <= 0x39) || (lower >= 0x61 && lower <= 0x7a);
}
