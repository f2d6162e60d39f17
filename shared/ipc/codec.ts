// Payloads to bytes and back: plain msgpack, no records, no extensions.
import { Packr } from 'msgpackr/pack';
import { isPlainMsgpack } from './msgpack-scan.ts';

const packr = new Packr({ useRecords: false, mapsAsObjects: true, moreTypes: false });

/** A fresh buffer on every call is not needed: encodeFrame copies what it is given. Keys whose value is undefined are left out. */
export function encodePayload(value: unknown): Uint8Array {
  return packr.pack(withoutUndefined(value));
}

/** `undefined` when the bytes are not one plain msgpack value. What comes back is still `unknown`: parse it. */
export function decodePayload(bytes: Uint8Array): { readonly value: unknown } | undefined {
  if (!isPlainMsgpack(bytes)) return undefined;
  try {
    return { value: packr.unpack(bytes) };
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
