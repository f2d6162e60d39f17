// Cuts a byte stream into frames. Holds at most one incomplete frame, so never more than MAX_FRAME_BYTES.
import { Buffer } from 'node:buffer';
import { type Frame, HEADER_BYTES, hasEnvelope, MAX_FRAME_BYTES } from './envelope.ts';

export interface FrameReader {
  /**
   * The first `size` bytes of the chunk, which may be written over afterwards. False, once and for all, when the stream is not ours: a length out
   * of range or a broken envelope.
   */
  push(chunk: Buffer, size?: number): boolean;
}

const LENGTH_BYTES = 4;

export function createFrameReader(onFrame: (frame: Frame) => void): FrameReader {
  let rest: Buffer | undefined;
  let broken = false;

  /** Emits every complete frame of the first `end` bytes and keeps what is left; false on the first illegal one. */
  const cut = (bytes: Buffer, end: number): boolean => {
    let at = 0;
    while (end - at >= LENGTH_BYTES) {
      const size = LENGTH_BYTES + bytes.readUInt32LE(at);
      if (size < HEADER_BYTES || size > MAX_FRAME_BYTES) return false;
      if (end - at < size) break;
      const frame = { bytes, at, end: at + size };
      if (!hasEnvelope(frame)) return false;
      at += size;
      onFrame(frame);
    }
    rest = at === end ? undefined : Buffer.from(bytes.subarray(at, end));
    return true;
  };

  return {
    push(chunk, size = chunk.length) {
      if (broken) return false;
      const bytes = rest === undefined ? chunk : Buffer.concat([rest, chunk.subarray(0, size)]);
      if (cut(bytes, rest === undefined ? size : bytes.length)) return true;
      broken = true;
      rest = undefined;
      return false;
    },
  };
}
