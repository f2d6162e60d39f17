// Writes plain msgpack: nil, booleans, numbers, strings, arrays and maps, each number and length in the first of the forms below that holds it.
// Source of the byte values: github.com/msgpack/msgpack/blob/master/spec.md
import { Buffer } from 'node:buffer';
import type { Frame } from './envelope.ts';

export interface MsgpackWriter {
  /** The value behind `headerBytes` that the caller fills. Throws on what is no data: a bigint, a symbol, a function. */
  write(value: unknown, headerBytes: number): Frame;
}

/** What is written one after the other lies side by side in memory of this size, so that what leaves together needs no copying together. */
const CHUNK_BYTES = 16 * 1024;
/** UTF-16 units. */
const SHORT_TEXT = 32;
/** Names of members that are kept as they were written. Contracts declare fewer; keys of records come from elsewhere and must not add up. */
const KNOWN_NAMES = 256;
/** Behind the head byte of a number. */
const LONGEST_NUMBER_BYTES = 8;

export function createMsgpackWriter(): MsgpackWriter {
  let bytes = Buffer.allocUnsafeSlow(0);
  let start = 0;
  let at = 0;
  const knownNames = new Map<string, Uint8Array>();

  /** The message that is being written moves to new memory when the old is full; nothing that was handed out is ever written over. */
  const makeRoom = (count: number): void => {
    if (at + count <= bytes.length) return;
    const roomier = Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, 2 * (at - start + count)));
    bytes.copy(roomier, 0, start, at);
    bytes = roomier;
    at -= start;
    start = 0;
  };

  const byte = (value: number): void => {
    bytes[at] = value;
    at += 1;
  };
  const sized = (head: number, value: number, size: number): void => {
    byte(head);
    at = bytes.writeUIntBE(value, at, size);
  };

  const writeNumber = (value: number): void => {
    makeRoom(1 + LONGEST_NUMBER_BYTES);
    if (value >>> 0 === value) {
      if (value <= 0x7f) byte(value);
      else if (value <= 0xff) sized(0xcc, value, 1);
      else if (value <= 0xffff) sized(0xcd, value, 2);
      else sized(0xce, value, 4);
    } else if ((value | 0) === value) {
      if (value >= -0x20) byte(value & 0xff);
      else sized(0xd2, value >>> 0, 4);
    } else {
      byte(0xcb);
      at = bytes.writeDoubleBE(value, at);
    }
  };

  const writeStringHead = (size: number): void => {
    if (size < 0x20) byte(0xa0 | size);
    else if (size <= 0xff) sized(0xd9, size, 1);
    else if (size <= 0xffff) sized(0xda, size, 2);
    else sized(0xdb, size, 4);
  };
  /**
   * A few characters of ASCII are faster written here than by a call into native code. In a function of its own this loop would be so small that V8's
   * optimising compiler takes it up after a thousand of them, in the start of state-svc: 3.4 MB of that compiler in memory.
   */
  const writeString = (text: string): void => {
    makeRoom(mostTextBytes(text));
    // As long as in ASCII, a byte for each UTF-16 unit; what is longer may have to make room for a longer head.
    const guess = at + stringHeadBytes(text.length);
    let ascii = 0;
    while (ascii < text.length && text.length <= SHORT_TEXT) {
      const unit = text.charCodeAt(ascii);
      if (unit > 0x7f) break;
      bytes[guess + ascii] = unit;
      ascii += 1;
    }
    const size = ascii === text.length ? ascii : bytes.write(text, guess);
    const behindHead = at + stringHeadBytes(size);
    if (behindHead !== guess) bytes.copyWithin(behindHead, guess, guess + size);
    writeStringHead(size);
    at = behindHead + size;
  };

  /**
   * Most letters of a message are those of names, which come again with the next. They are copied at once: letter by letter they keep V8's optimising
   * compiler busy with `writeString` while containers start, in state-svc with the first of them.
   */
  const writeName = (name: string): void => {
    const known = knownNames.get(name);
    if (known === undefined) {
      // Now, so that the message does not move between here and the name's end.
      makeRoom(mostTextBytes(name));
      const begin = at;
      writeString(name);
      if (name.length > SHORT_TEXT || knownNames.size >= KNOWN_NAMES) return;
      knownNames.set(name, new Uint8Array(bytes.subarray(begin, at)));
    } else {
      makeRoom(known.length);
      bytes.set(known, at);
      at += known.length;
    }
  };

  const writeArray = (elements: readonly unknown[]): void => {
    makeRoom(5);
    if (elements.length <= 0x0f) byte(0x90 | elements.length);
    else if (elements.length <= 0xffff) sized(0xdc, elements.length, 2);
    else sized(0xdd, elements.length, 4);
    for (const element of elements) writeValue(element);
  };

  /** msgpack has no undefined: a key with that value is left out, as in JSON. */
  const writeMap = (members: Readonly<Record<string, unknown>>): void => {
    makeRoom(5);
    const keys = Object.keys(members);
    let size = keys.length;
    for (const key of keys) if (members[key] === undefined) size -= 1;
    if (size <= 0x0f) byte(0x80 | size);
    else if (size <= 0xffff) sized(0xde, size, 2);
    else sized(0xdf, size, 4);
    for (const key of keys) {
      const member = members[key];
      if (member === undefined) continue;
      writeName(key);
      writeValue(member);
    }
  };

  const writeValue = (value: unknown): void => {
    if (typeof value === 'string') writeString(value);
    else if (typeof value === 'number') writeNumber(value);
    else if (Array.isArray(value)) writeArray(value);
    else if (typeof value === 'object' && value !== null) writeMap(value as Readonly<Record<string, unknown>>);
    else {
      makeRoom(1);
      if (value === true) byte(0xc3);
      else if (value === false) byte(0xc2);
      else if (value === undefined || value === null) byte(0xc0);
      else throw new TypeError(`a ${typeof value} is no data that a message can carry`);
    }
  };

  return {
    write(value, headerBytes) {
      // Where the last message ended; over what a failed one left behind.
      at = start;
      makeRoom(headerBytes);
      at += headerBytes;
      writeValue(value);
      const frame = { bytes, at: start, end: at };
      start = at;
      // A large message's memory is not held by small ones after it.
      if (bytes.length > CHUNK_BYTES) {
        bytes = Buffer.allocUnsafeSlow(0);
        start = 0;
      }
      return frame;
    },
  };
}

/** With its head. */
function mostTextBytes({ length }: string): number {
  return 5 + 3 * length;
}

function stringHeadBytes(size: number): number {
  if (size < 0x20) return 1;
  if (size <= 0xff) return 2;
  return size <= 0xffff ? 3 : 5;
}
