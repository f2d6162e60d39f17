// Payloads to bytes and back: plain msgpack, no records, no extensions.
import { Packr, RESERVE_START_SPACE } from 'msgpackr/pack';
import { type Frame, HEADER_BYTES, writeHeader } from './envelope.ts';
import { isPlainMsgpack } from './msgpack-scan.ts';

const packr = new Packr({ useRecords: false, mapsAsObjects: true, moreTypes: false });

/** Keys whose value is undefined are left out. */
export function encodePayload(value: unknown): Buffer {
  return packr.pack(withoutUndefined(value));
}

/** The value is packed where the frame wants it, behind room for the header. May be larger than a frame is allowed to be. */
export function encodeMessage(kind: number, id: number, topic: number, value: unknown): Frame {
  const bytes = packr.pack(withoutUndefined(value), RESERVE_START_SPACE | HEADER_BYTES);
  const frame = { bytes, at: 0, end: bytes.length };
  writeHeader(frame, kind, id, topic, 0);
  return frame;
}

/** As decodePayload, of what the frame carries. */
export function decodeMessage({ bytes, at, end }: Frame): { readonly value: unknown } | undefined {
  return decodePayload(bytes, at + HEADER_BYTES, end);
}

/** `undefined` when the bytes are not one plain msgpack value. What comes back is still `unknown`: parse it. */
export function decodePayload(
  bytes: Uint8Array,
  start = 0,
  end = bytes.length,
): { readonly value: unknown } | undefined {
  if (!isPlainMsgpack(bytes, start, end)) return undefined;
  try {
    return { value: packr.unpack(bytes, { start, end }) };
  } catch {
    // Not reachable for what the scan lets through, as far as the fuzz tests know; a reader must survive it all the same.
    return undefined;
  }
}

/** msgpack has no undefined; msgpackr would send an extension for it. Copies only what holds one. */
function withoutUndefined(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !holdsUndefined(value)) return value;
  if (Array.isArray(value)) return value.map(withoutUndefined);
  const copy: Record<string, unknown> = {};
  for (const [key, member] of Object.entries(value)) if (member !== undefined) copy[key] = withoutUndefined(member);
  return copy;
}

function holdsUndefined(value: object): boolean {
  for (const key in value) {
    const member: unknown = Reflect.get(value, key);
    if (member === undefined) return true;
    if (typeof member === 'object' && member !== null && holdsUndefined(member)) return true;
  }
  return false;
}
