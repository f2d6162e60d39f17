// Netlink's framing, pure: messages and attributes to bytes and back (linux/netlink.h, netlink(7)).
// Numbers are in the machine's byte order, little-endian on all that Berth ships for (x86, arm, riscv).

/** A message before it has a sequence number. */
export interface MessageBody {
  readonly type: number;
  /** NLM_F_* besides NLM_F_REQUEST. */
  readonly flags: number;
  readonly payload: Buffer;
}

/** One change and the words for it in case it fails. */
export interface Step {
  readonly step: string;
  readonly message: MessageBody;
}

export interface Message extends MessageBody {
  readonly sequence: number;
}

export interface Attribute {
  readonly type: number;
  readonly value: Buffer;
}

export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;
export const NLM_F_REQUEST = 0x1;
export const NLM_F_ACK = 0x4;
/** In a dump: something changed while it was taken; take it again. */
export const NLM_F_DUMP_INTR = 0x10;
/** In a dump: only what was asked for is told. */
export const NLM_F_DUMP_FILTERED = 0x20;
export const NLM_F_DUMP = 0x300;
export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
const NLM_F_CAPPED = 0x100;
const NLM_F_ACK_TLVS = 0x200;
const NLMSGERR_ATTR_MSG = 1;
const NLA_F_NESTED = 0x8000;
/** NLA_F_NESTED and NLA_F_NET_BYTEORDER are flags in the type. */
const NLA_TYPE_MASK = 0x3fff;

const MESSAGE_HEADER_BYTES = 16;
const ATTRIBUTE_HEADER_BYTES = 4;

/** Bytes that are no netlink message; only a kernel of another kind than we know sends such. */
export class MalformedMessage extends Error {}

const aligned = (length: number): number => (length + 3) & ~3;

export function encodeMessage({ type, flags, payload }: MessageBody, sequence: number): Buffer {
  const bytes = Buffer.alloc(MESSAGE_HEADER_BYTES + aligned(payload.length));
  bytes.writeUInt32LE(MESSAGE_HEADER_BYTES + payload.length, 0);
  bytes.writeUInt16LE(type, 4);
  bytes.writeUInt16LE(flags | NLM_F_REQUEST, 6);
  bytes.writeUInt32LE(sequence, 8);
  bytes.set(payload, MESSAGE_HEADER_BYTES);
  return bytes;
}

/** All messages of a datagram. Throws MalformedMessage. */
export function decodeMessages(datagram: Buffer): Message[] {
  const messages: Message[] = [];
  for (let at = 0; at < datagram.length; ) {
    if (datagram.length - at < MESSAGE_HEADER_BYTES) throw new MalformedMessage(`a message header is cut at ${at}`);
    const length = datagram.readUInt32LE(at);
    if (length < MESSAGE_HEADER_BYTES || length > datagram.length - at) {
      throw new MalformedMessage(`a message at ${at} of ${datagram.length} claims ${length} bytes`);
    }
    messages.push({
      type: datagram.readUInt16LE(at + 4),
      flags: datagram.readUInt16LE(at + 6),
      sequence: datagram.readUInt32LE(at + 8),
      payload: datagram.subarray(at + MESSAGE_HEADER_BYTES, at + length),
    });
    at += aligned(length);
  }
  return messages;
}

/** Whether one socket, by its port, caused every message of the datagram. False for what is no message. */
export function isAllFrom(port: number, datagram: Buffer): boolean {
  for (let at = 0; at < datagram.length; ) {
    if (datagram.length - at < MESSAGE_HEADER_BYTES) return false;
    const length = datagram.readUInt32LE(at);
    if (length < MESSAGE_HEADER_BYTES || datagram.readUInt32LE(at + 12) !== port) return false;
    at += aligned(length);
  }
  return true;
}

export function encodeAttributes(attributes: readonly Attribute[]): Buffer {
  const sizes = attributes.map(({ value }) => aligned(ATTRIBUTE_HEADER_BYTES + value.length));
  const bytes = Buffer.alloc(sizes.reduce((sum, size) => sum + size, 0));
  let at = 0;
  for (const { type, value } of attributes) {
    bytes.writeUInt16LE(ATTRIBUTE_HEADER_BYTES + value.length, at);
    bytes.writeUInt16LE(type, at + 2);
    bytes.set(value, at + ATTRIBUTE_HEADER_BYTES);
    at += aligned(ATTRIBUTE_HEADER_BYTES + value.length);
  }
  return bytes;
}

/** By type, without its flags, those that are `wanted`: a link has sixty. Of a repeated type the last one. Throws MalformedMessage. */
export function decodeAttributes(bytes: Buffer, wanted?: ReadonlySet<number>): Map<number, Buffer> {
  const attributes = new Map<number, Buffer>();
  for (let at = 0; at < bytes.length; ) {
    if (bytes.length - at < ATTRIBUTE_HEADER_BYTES) throw new MalformedMessage(`an attribute header is cut at ${at}`);
    const length = bytes.readUInt16LE(at);
    if (length < ATTRIBUTE_HEADER_BYTES || length > bytes.length - at) {
      throw new MalformedMessage(`an attribute at ${at} of ${bytes.length} claims ${length} bytes`);
    }
    const type = bytes.readUInt16LE(at + 2) & NLA_TYPE_MASK;
    if (wanted?.has(type) ?? true) attributes.set(type, bytes.subarray(at + ATTRIBUTE_HEADER_BYTES, at + length));
    at += aligned(length);
  }
  return attributes;
}

export function uint32(type: number, value: number): Attribute {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return { type, value: bytes };
}

/** NUL-terminated, as the kernel wants NLA_NUL_STRING. */
export function text(type: number, value: string): Attribute {
  return { type, value: Buffer.from(`${value}\0`) };
}

export function nested(type: number, attributes: readonly Attribute[]): Attribute {
  return { type: type | NLA_F_NESTED, value: encodeAttributes(attributes) };
}

export function readText(value: Buffer | undefined): string | undefined {
  return value?.toString('utf8').replace(/\0+$/, '');
}

export function readUint32(value: Buffer | undefined): number | undefined {
  return value !== undefined && value.length >= 4 ? value.readUInt32LE() : undefined;
}

/** What an NLMSG_ERROR says: errno (0 is success, otherwise positive) and the kernel's extended acknowledgement. */
export function decodeOutcome({ flags, payload }: Message): { errno: number; explanation: string } {
  if (payload.length < 4) throw new MalformedMessage(`an outcome of ${payload.length} bytes`);
  const errno = -payload.readInt32LE(0);
  if ((flags & NLM_F_ACK_TLVS) === 0 || payload.length < 8) return { errno, explanation: '' };
  // Behind the errno comes the request: its header alone (capped) or all of it.
  const echoed = (flags & NLM_F_CAPPED) === 0 ? payload.readUInt32LE(4) : MESSAGE_HEADER_BYTES;
  const attributes = decodeAttributes(payload.subarray(4 + aligned(echoed)));
  return { errno, explanation: readText(attributes.get(NLMSGERR_ATTR_MSG)) ?? '' };
}
