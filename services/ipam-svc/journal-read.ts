// Reads a journal as far as the disk gives it. What it does not give is left out, so that the scan finds damage of the same size there.
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { errorCode, isDamaged, reasonOf } from '../../shared/kernel/system-error.ts';

export type JournalRead =
  | { readonly kind: 'absent' }
  /** `holes`: why some of it is missing; undefined: nothing is. */
  | {
      readonly kind: 'read';
      readonly handle: FileHandle;
      readonly bytes: Buffer;
      readonly isReadOnly: boolean;
      readonly holes: string | undefined;
    }
  /** Nothing of it can be read. */
  | { readonly kind: 'unreadable'; readonly reason: string };

/** Every write is a write and fdatasync(2) in one call (open(2), O_DSYNC). */
export const APPENDING = constants.O_RDWR | constants.O_DSYNC;

/** What the kernel reads at a time at least, so that nothing beside a bad sector is lost. */
const PIECE_BYTES = 4096;
/** What is read at a time at most. */
const CHUNK_BYTES = 1024 * 1024;
/** A pool of 65,000 addresses has 5 MB: behind so many bytes of nothing there is nothing, whatever the size. */
const MAX_NOTHING_BYTES = 64 * CHUNK_BYTES;
const NEWLINE = 0x0a;

/** After `untilMs`, of performance.now(), nothing more is read behind damage. Rejects with the system's error where that is none of damage. */
export async function readJournal(path: string, untilMs: number): Promise<JournalRead> {
  try {
    const { handle, isReadOnly } = await openJournal(path);
    try {
      return { kind: 'read', handle, isReadOnly, ...(await readWhole(handle, untilMs)) };
    } catch (error) {
      await handle.close();
      throw error;
    }
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return { kind: 'absent' };
    if (!isDamaged(error)) throw error;
    return { kind: 'unreadable', reason: reasonOf(error) };
  }
}

async function openJournal(path: string): Promise<{ readonly handle: FileHandle; readonly isReadOnly: boolean }> {
  try {
    return { handle: await open(path, APPENDING), isReadOnly: false };
  } catch (error) {
    if (errorCode(error) !== 'EROFS') throw error;
    // Those who have a lease can have it all the same.
    return { handle: await open(path, constants.O_RDONLY), isReadOnly: true };
  }
}

interface Content {
  readonly bytes: Buffer;
  readonly holes: string | undefined;
}

/** The inode may be damaged unseen, so its size is believed as far as there is something. Rejects where nothing can be read. */
async function readWhole(handle: FileHandle, untilMs: number): Promise<Content> {
  const { size } = await handle.stat();
  const chunks: Buffer[] = [];
  let readBytes = 0;
  let nothingBytes = 0;
  let damage: unknown;
  for (let at = 0; at < size && nothingBytes < MAX_NOTHING_BYTES; at += CHUNK_BYTES) {
    const chunk = await readChunk(handle, at, Math.min(CHUNK_BYTES, size - at), untilMs);
    damage ??= chunk.damage;
    readBytes += chunk.readBytes;
    nothingBytes = chunk.bytes.every((byte) => byte === 0) ? nothingBytes + chunk.bytes.length : 0;
    chunks.push(chunk.bytes);
    if (!chunk.isLast) continue;
    // What is left counts as lost.
    chunks.push(Buffer.alloc(Math.min(MAX_NOTHING_BYTES, size - at - chunk.bytes.length), NEWLINE));
    break;
  }
  if (damage !== undefined && readBytes === 0) throw damage;
  const bytes = Buffer.concat(chunks);
  if (damage !== undefined) return { bytes, holes: reasonOf(damage) };
  if (nothingBytes === 0) return { bytes, holes: undefined };
  const text = withoutNothing(bytes);
  return { bytes: text, holes: `its size is ${size}, and there are ${text.length} bytes in it` };
}

interface Chunk {
  /** Lines of nothing, which no record is, where it was not read: bytes without a newline at the end would pass for a line that was never finished. */
  readonly bytes: Buffer;
  readonly readBytes: number;
  readonly damage: unknown;
  /** Nothing behind it is to be read. */
  readonly isLast: boolean;
}

async function readChunk(handle: FileHandle, from: number, size: number, untilMs: number): Promise<Chunk> {
  const bytes = Buffer.alloc(size, NEWLINE);
  let readBytes = 0;
  let damage: unknown;
  for (let at = 0; at < size; ) {
    try {
      // Short before a bad sector; Node's readFile takes that for the end of the file.
      const { bytesRead } = await handle.read(bytes, at, size - at, from + at);
      if (bytesRead === 0) return { bytes, readBytes, damage, isLast: true };
      readBytes += bytesRead;
      at += bytesRead;
    } catch (error) {
      if (!isDamaged(error)) throw error;
      damage ??= error;
      if (performance.now() > untilMs) return { bytes, readBytes, damage, isLast: true };
      at += PIECE_BYTES - (at % PIECE_BYTES);
    }
  }
  return { bytes, readBytes, damage, isLast: false };
}

/** Behind its last line there may be the rest of a block. */
function withoutNothing(bytes: Buffer): Buffer {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end -= 1;
  return bytes.subarray(0, end);
}
