// One frame: u32 little-endian length of the rest, a msgpack envelope, then the payload's bytes.
// The envelope is an array of five uint 32, always in their five-byte form, so that it has one size and the broker can
// read and restamp it in place:  95 | ce kind | ce id | ce topic | ce deadlineMs | ce peer
import { Buffer } from 'node:buffer';

export const KIND = {
  /** service → broker, first frame: { contracts: hash }. */
  hello: 1,
  /** service → broker: requests may come. */
  ready: 2,
  /** service → broker: still alive. */
  beat: 3,
  request: 4,
  /** The answer: the result. */
  result: 5,
  /** The answer: a declared error. */
  error: 6,
  /** The answer: { code, detail }, code from fault.ts. */
  fault: 7,
  /** caller → receiver: nobody waits for this id any more. */
  cancel: 8,
  event: 9,
  /** broker → subscriber: { count } events of this topic were dropped. */
  lost: 10,
} as const;

const LENGTH_BYTES = 4;
const ENVELOPE_BYTES = 1 + 5 * 5;
export const HEADER_BYTES = LENGTH_BYTES + ENVELOPE_BYTES;
/** 64 KiB: bulk bytes do not travel here. Counts the whole frame. */
export const MAX_FRAME_BYTES = 64 * 1024;
export const MAX_PAYLOAD_BYTES = MAX_FRAME_BYTES - HEADER_BYTES;

const FIXARRAY_5 = 0x95;
const UINT32 = 0xce;
const FIELDS_AT = LENGTH_BYTES + 1;
const KIND_AT = FIELDS_AT + 1;
const ID_AT = KIND_AT + 5;
const TOPIC_AT = ID_AT + 5;
const DEADLINE_AT = TOPIC_AT + 5;
const PEER_AT = DEADLINE_AT + 5;

/** The payload may be empty. `id`, `topic`, `deadlineMs`, `peer`: 0 where the kind has no use for them. */
export function encodeFrame(
  kind: number,
  id: number,
  topic: number,
  deadlineMs: number,
  payload: Uint8Array | undefined,
): Buffer {
  const payloadBytes = payload?.length ?? 0;
  const frame = Buffer.allocUnsafe(HEADER_BYTES + payloadBytes);
  frame.writeUInt32LE(ENVELOPE_BYTES + payloadBytes, 0);
  frame[LENGTH_BYTES] = FIXARRAY_5;
  for (let at = FIELDS_AT; at < HEADER_BYTES; at += 5) frame[at] = UINT32;
  frame.writeUInt32BE(kind, KIND_AT);
  frame.writeUInt32BE(id, ID_AT);
  frame.writeUInt32BE(topic, TOPIC_AT);
  frame.writeUInt32BE(deadlineMs, DEADLINE_AT);
  frame.writeUInt32BE(0, PEER_AT);
  if (payload !== undefined) frame.set(payload, HEADER_BYTES);
  return frame;
}

/** Whether the bytes after the length are an envelope of this form; everything below relies on it. */
export function hasEnvelope(frame: Buffer): boolean {
  if (frame.length < HEADER_BYTES || frame[LENGTH_BYTES] !== FIXARRAY_5) return false;
  for (let at = FIELDS_AT; at < HEADER_BYTES; at += 5) if (frame[at] !== UINT32) return false;
  return true;
}

export const kindOf = (frame: Buffer): number => frame.readUInt32BE(KIND_AT);
export const idOf = (frame: Buffer): number => frame.readUInt32BE(ID_AT);
export const topicOf = (frame: Buffer): number => frame.readUInt32BE(TOPIC_AT);
export const deadlineOf = (frame: Buffer): number => frame.readUInt32BE(DEADLINE_AT);
/** Index into SERVICE_NAMES of who sent it; true only on frames that come from the broker. */
export const peerOf = (frame: Buffer): number => frame.readUInt32BE(PEER_AT);
export const payloadOf = (frame: Buffer): Buffer => frame.subarray(HEADER_BYTES);

/** What the broker writes over a frame that it passes on. */
export function restamp(frame: Buffer, id: number, peer: number): void {
  frame.writeUInt32BE(id, ID_AT);
  frame.writeUInt32BE(peer, PEER_AT);
}
