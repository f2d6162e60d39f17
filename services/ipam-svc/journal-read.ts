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
/** A bad sector may take seconds, and the service is to be ready in ten: what is not read by then counts as lost. */
const PATIENCE_MS = 4000;
const NEWLINE = 0x0a;

/** Rejects with the system's error where that is none of damage. */
export async function readJournal(path: string): Promise<JournalRead> {
  try {
    const { handle, isReadOnly } = await openJournal(path);
    try {
      return { kind: 'read', handle, isReadOnly, ...(await readWhole(handle)) };
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

/** Rejects where nothing can be read. */
async function readWhole(handle: FileHandle): Promise<{ readonly bytes: Buffer; readonly holes: string | undefined }> {
  const { size } = await handle.stat();
  // Lines of nothing, which no record is: bytes without a newline at the end would pass for a line that was never finished.
  const bytes = Buffer.alloc(size, NEWLINE);
  const untilMs = performance.now() + PATIENCE_MS;
  let readBytes = 0;
  let damage: unknown;
  for (let at = 0; at < size; ) {
    try {
      // Short before a bad sector; Node's readFile takes that for the end of the file.
      const { bytesRead } = await handle.read(bytes, at, size - at, at);
      if (bytesRead === 0) break;
      readBytes += bytesRead;
      at += bytesRead;
    } catch (error) {
      if (!isDamaged(error)) throw error;
      damage ??= error;
      if (performance.now() > untilMs) break;
      at += PIECE_BYTES - (at % PIECE_BYTES);
    }
  }
  if (damage !== undefined && readBytes === 0) throw damage;
  return { bytes, holes: damage === undefined ? undefined : reasonOf(damage) };
}
