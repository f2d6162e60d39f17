// Reads what msgpack-writer.ts writes, and nothing else: no extensions, no binaries, no deep nesting, no length that the bytes cannot hold,
// no bytes left over.
import type { Buffer } from 'node:buffer';

/** Our deepest payload (container row: list → row → network → interfaces → row) uses 6. */
const MAX_DEPTH = 16;
/** Strings up to this size are mostly names of members and states, and come again. */
const KNOWN_STRING_BYTES = 16;
/** A power of two. */
const KNOWN_STRINGS = 256;

/** `undefined` when the bytes from `start` to `end` are not exactly one value. What comes back is still `unknown`: parse it. */
export function readMsgpack(bytes: Buffer, start: number, end: number): { readonly value: unknown } | undefined {
  const cursor: Cursor = { bytes, at: start, end };
  try {
    const value = readValue(cursor, 0);
    return cursor.at === end ? { value } : undefined;
  } catch (error) {
    if (error === MALFORMED) return undefined;
    throw error;
  }
}

interface Cursor {
  readonly bytes: Buffer;
  at: number;
  readonly end: number;
}

/** Made once: it never leaves this file, and needs no stack. */
const MALFORMED = new Error('not plain msgpack');

function readValue(cursor: Cursor, depth: number): unknown {
  const head = cursor.bytes[advance(cursor, 1)] ?? 0;
  if (head <= 0x7f) return head;
  if (head <= 0x8f) return readMap(cursor, head & 0x0f, depth);
  if (head <= 0x9f) return readArray(cursor, head & 0x0f, depth);
  if (head <= 0xbf) return readString(cursor, head & 0x1f);
  if (head >= 0xe0) return head - 0x100;
  switch (head) {
    case 0xc0:
      return null;
    case 0xc2:
      return false;
    case 0xc3:
      return true;
    case 0xcb:
      return cursor.bytes.readDoubleBE(advance(cursor, 8));
    case 0xcc:
    case 0xcd:
    case 0xce:
      return readUint(cursor, 1 << (head - 0xcc));
    case 0xd2:
      return cursor.bytes.readInt32BE(advance(cursor, 4));
    case 0xd9:
    case 0xda:
    case 0xdb:
      return readString(cursor, readUint(cursor, 1 << (head - 0xd9)));
    case 0xdc:
    case 0xdd:
      return readArray(cursor, readUint(cursor, 2 << (head - 0xdc)), depth);
    case 0xde:
    case 0xdf:
      return readMap(cursor, readUint(cursor, 2 << (head - 0xde)), depth);
    default:
      throw MALFORMED;
  }
}

/** Answers where the `count` bytes begin that are to be read next. */
function advance(cursor: Cursor, count: number): number {
  const { at } = cursor;
  if (count > cursor.end - at) throw MALFORMED;
  cursor.at = at + count;
  return at;
}

function readUint(cursor: Cursor, size: number): number {
  return cursor.bytes.readUIntBE(advance(cursor, size), size);
}

/** Every element has a byte at least: a length beyond what is left reserves nothing. */
function checkElements(cursor: Cursor, count: number, depth: number): void {
  if (count > cursor.end - cursor.at || depth >= MAX_DEPTH) throw MALFORMED;
}

function readArray(cursor: Cursor, length: number, depth: number): unknown[] {
  checkElements(cursor, length, depth);
  const elements: unknown[] = [];
  for (let index = 0; index < length; index += 1) elements.push(readValue(cursor, depth + 1));
  return elements;
}

function readMap(cursor: Cursor, size: number, depth: number): object {
  checkElements(cursor, 2 * size, depth);
  const members: Record<string, unknown> = {};
  for (let index = 0; index < size; index += 1) {
    const key = readKey(cursor);
    members[key] = readValue(cursor, depth + 1);
  }
  return members;
}

function readKey(cursor: Cursor): string {
  const head = cursor.bytes[advance(cursor, 1)] ?? 0;
  const isShort = head >= 0xa0 && head <= 0xbf;
  if (!isShort && (head < 0xd9 || head > 0xdb)) throw MALFORMED;
  const key = readString(cursor, isShort ? head & 0x1f : readUint(cursor, 1 << (head - 0xd9)));
  // The one name that is not taken for what it says: it would set the prototype.
  return key === '__proto__' ? '__proto_' : key;
}

/** Bytes that are no UTF-8 become U+FFFD. */
function readString(cursor: Cursor, size: number): string {
  const { bytes } = cursor;
  const at = advance(cursor, size);
  if (size > KNOWN_STRING_BYTES) return bytes.toString(undefined, at, at + size);
  let hash = size;
  for (let index = at; index < at + size; index += 1) hash = Math.imul(hash ^ (bytes[index] ?? 0), 0x01000193);
  const slot = (hash ^ (hash >>> 16)) & (KNOWN_STRINGS - 1);
  const known = knownStrings[slot];
  if (known !== undefined && isText(known, bytes, at, size)) return known;
  const text = bytes.toString(undefined, at, at + size);
  knownStrings[slot] = text;
  return text;
}

const knownStrings: (string | undefined)[] = Array.from({ length: KNOWN_STRINGS }, () => undefined);

/** True of ASCII only, where bytes and UTF-16 units are the same: other text has fewer units than bytes, or the unit U+FFFD, which is no byte. */
function isText(text: string, bytes: Buffer, at: number, size: number): boolean {
  if (text.length !== size) return false;
  for (let index = 0; index < size; index += 1) if (text.charCodeAt(index) !== bytes[at + index]) return false;
  return true;
}
