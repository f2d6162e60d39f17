// Cuts a byte stream into frames. Holds at most one incomplete frame, so never more than MAX_FRAME_BYTES.
import { Buffer } from 'node:buffer';
import { type Frame, HEADER_BYTES, hasEnvelope, MAX_FRAME_BYTES } from './envelope.ts';

/** `push` answers false, once and for all, when the stream is not ours: a length out of range or a broken envelope. */
export interface FrameReader {
  push(chunk: Buffer): boolean;
}

const LENGTH_BYTES = 4;

export function createFrameReader(onFrame: (frame: Frame) => void): FrameReader {
  let rest: Buffer | undefined;
  let broken = false;

  /** Emits every complete frame of `bytes` and keeps what is left; false on the first illegal one. */
  const cut = (bytes: Buffer): boolean => {
    let at = 0;
    while (bytes.length - at >= LENGTH_BYTES) {
      const size = LENGTH_BYTES + bytes.readUInt32LE(at);
      if (size < HEADER_BYTES || size > MAX_FRAME_BYTES) return false;
      if (bytes.length - at < size) break;
      const frame = { bytes, at, end: at + size };
      if (!hasEnvelope(frame)) return false;
      at += size;
      onFrame(frame);
    }
    rest = at === bytes.length ? undefined : bytes.subarray(at);
    return true;
  };

  return {
    push(chunk) {
      if (broken) return false;
      if (cut(rest === undefined ? chunk : Buffer.concat([rest, chunk]))) return true;
      broken = true;
      rest = undefined;
      return false;
    },
  };
}
