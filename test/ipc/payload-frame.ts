// A frame with any bytes as its payload, as a peer that is not ours could send it.
import { Buffer } from 'node:buffer';
import { type Frame, HEADER_BYTES, writeHeader } from '../../shared/ipc/envelope.ts';

export function payloadFrame(kind: number, id: number, topic: number, deadlineMs: number, payload: Uint8Array): Frame {
  const bytes = Buffer.concat([Buffer.alloc(HEADER_BYTES), payload]);
  const frame = { bytes, at: 0, end: bytes.length };
  writeHeader(frame, kind, id, topic, deadlineMs);
  return frame;
}
