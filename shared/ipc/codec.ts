// Payloads to bytes and back: plain msgpack, no records, no extensions.
import type { Buffer } from 'node:buffer';
import { bytesOf, type Frame, HEADER_BYTES, writeHeader } from './envelope.ts';
import { readMsgpack } from './msgpack-reader.ts';
import { createMsgpackWriter } from './msgpack-writer.ts';

const writer = createMsgpackWriter();

/** Keys whose value is undefined are left out. */
export function encodePayload(value: unknown): Buffer {
  return bytesOf(writer.write(value, 0));
}

/** The value is written where the frame wants it, behind room for the header. May be larger than a frame is allowed to be. */
export function encodeMessage(kind: number, id: number, topic: number, value: unknown): Frame {
  const frame = writer.write(value, HEADER_BYTES);
  writeHeader(frame, kind, id, topic, 0);
  return frame;
}

/** As decodePayload, of what the frame carries. */
export function decodeMessage({ bytes, at, end }: Frame): { readonly value: unknown } | undefined {
  return readMsgpack(bytes, at + HEADER_BYTES, end);
}

/** `undefined` when the bytes are not one plain msgpack value. What comes back is still `unknown`: parse it. */
export function decodePayload(bytes: Buffer): { readonly value: unknown } | undefined {
  return readMsgpack(bytes, 0, bytes.length);
}
