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

/**
 * One frame where it lies, its length included. What is read together stays together: a Buffer for each frame costs more than all that is
 * done with it, and frames that lie side by side can be passed on in one piece.
 */
export interface Frame {
  readonly bytes: Buffer;
  readonly at: number;
  readonly end: number;
}

/** Without payload. `id`, `topic`: 0 where the kind has no use for them. */
export function signalFrame(kind: number, id = 0, topic = 0): Frame {
  const frame = { bytes: Buffer.allocUnsafe(HEADER_BYTES), at: 0, end: HEADER_BYTES };
  writeHeader(frame, kind, id, topic, 0);
  return frame;
}

/** Over the HEADER_BYTES at the start of the frame. `deadlineMs`: 0 where the kind has no use for it. */
export function writeHeader({ bytes, at, end }: Frame, kind: number, id: number, topic: number, deadlineMs: number) {
  bytes.writeUInt32LE(end - at - LENGTH_BYTES, at);
  bytes[at + LENGTH_BYTES] = FIXARRAY_5;
  for (let head = FIELDS_AT; head < HEADER_BYTES; head += 5) bytes[at + head] = UINT32;
  bytes.writeUInt32BE(kind, at + KIND_AT);
  bytes.writeUInt32BE(id, at + ID_AT);
  bytes.writeUInt32BE(topic, at + TOPIC_AT);
  bytes.writeUInt32BE(deadlineMs, at + DEADLINE_AT);
  bytes.writeUInt32BE(0, at + PEER_AT);
}

/** Whether the bytes after the length are an envelope of this form; everything below relies on it. */
export function hasEnvelope({ bytes, at, end }: Frame): boolean {
  if (end - at < HEADER_BYTES || bytes[at + LENGTH_BYTES] !== FIXARRAY_5) return false;
  for (let head = FIELDS_AT; head < HEADER_BYTES; head += 5) if (bytes[at + head] !== UINT32) return false;
  return true;
}

export const kindOf = ({ bytes, at }: Frame): number => bytes.readUInt32BE(at + KIND_AT);
export const idOf = ({ bytes, at }: Frame): number => bytes.readUInt32BE(at + ID_AT);
export const topicOf = ({ bytes, at }: Frame): number => bytes.readUInt32BE(at + TOPIC_AT);
export const deadlineOf = ({ bytes, at }: Frame): number => bytes.readUInt32BE(at + DEADLINE_AT);
/** Index into SERVICE_NAMES of who sent it; true only on frames that come from the broker. */
export const peerOf = ({ bytes, at }: Frame): number => bytes.readUInt32BE(at + PEER_AT);
export const sizeOf = ({ at, end }: Frame): number => end - at;
export const bytesOf = ({ bytes, at, end }: Frame): Buffer => bytes.subarray(at, end);

/** What the broker writes over a frame that it passes on. */
export function restamp({ bytes, at }: Frame, id: number, peer: number): void {
  bytes.writeUInt32BE(id, at + ID_AT);
  bytes.writeUInt32BE(peer, at + PEER_AT);
}

/** For what is kept: the frame is a view into a chunk of a stream, which would be kept whole. */
export function copyFrame(frame: Frame): Frame {
  return { bytes: Buffer.from(bytesOf(frame)), at: 0, end: sizeOf(frame) };
}
