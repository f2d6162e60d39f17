// The journal's file operations, and nothing of what they mean: the seam at which tests break disks and kill processes.
//
//   <storage>/ipam/leases.journal           the journal; only whole files ever get this name
//   <storage>/ipam/leases.journal.new       a snapshot being written; of no meaning after a crash
//   <storage>/ipam/leases.journal.damaged   the last damaged journal as it was found, for people
import { constants, write, writeSync } from 'node:fs';
import { copyFile, type FileHandle, open, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '../../shared/kernel/system-error.ts';

export interface JournalDisk {
  /** The whole journal; undefined when there is none. Opens it for appending, later where the storage is read-only now. */
  load(): Promise<Buffer | undefined>;
  /** All of the bytes, at this offset; on the disk, and the file's size with them, when this resolves. */
  append(bytes: Buffer, offset: number): Promise<void>;
  /** Cuts the journal, and syncs. */
  truncate(length: number): Promise<void>;
  /** Writes a new journal beside the one in use, and syncs it. */
  prepare(bytes: Buffer): Promise<void>;
  /** Puts the prepared one in its place: after a crash it is one or the other, whole. When this fails, either may be in use. */
  adopt(): Promise<void>;
  /** Copies the journal aside. */
  keepDamaged(): Promise<void>;
  close(): Promise<void>;
}

const FILE_MODE = 0o640;
/** Every write is a write and fdatasync(2) in one call (open(2), O_DSYNC). */
const APPENDING = constants.O_RDWR | constants.O_DSYNC;

/**
 * Where a disk syncs in 0.15 ms, the way to a pool thread and back takes as long again; so while writes are this quick they are made
 * on the spot. What arrives meanwhile waits in the socket and goes together in the next write, as it would anyway. The first
 * slow one sends those after it to the pool, where a disk that hangs for seconds keeps no heartbeat from being sent.
 */
const QUICK_MS = 2;
/** A longer write takes its time for its length. */
const QUICK_BYTES = 64 * 1024;

/**
 * `folder` exists and is writable. Every method rejects with Node's system errors (ENOSPC, EIO, EACCES, …). Syncs go through
 * FileHandle, because Node's permission model disables fs.fsync and fs.fdatasync.
 */
export function createJournalDisk(folder: string): JournalDisk {
  const path = join(folder, 'leases.journal');
  const beside = `${path}.new`;
  let journal: FileHandle | undefined;
  let isReadOnly = false;
  let isQuick = false;

  const opened = (): FileHandle => {
    if (journal === undefined) throw new Error(`${path} is not open`);
    return journal;
  };

  async function reopen(next: FileHandle | undefined): Promise<void> {
    const previous = journal;
    journal = next;
    await previous?.close();
  }

  return {
    async load() {
      try {
        journal = await open(path, APPENDING);
      } catch (error) {
        const code = errorCode(error);
        if (code === 'ENOENT') return undefined;
        if (code !== 'EROFS') throw error;
        // Those who have a lease can have it all the same.
        journal = await open(path, constants.O_RDONLY);
        isReadOnly = true;
      }
      return await journal.readFile();
    },
    async append(bytes, offset) {
      if (isReadOnly) {
        await reopen(await open(path, APPENDING));
        isReadOnly = false;
      }
      const { fd } = opened();
      const startedMs = performance.now();
      try {
        if (isQuick && bytes.length <= QUICK_BYTES) writeAllNow(fd, bytes, offset);
        else await writeAll(fd, bytes, offset);
      } finally {
        isQuick = performance.now() - startedMs < QUICK_MS;
      }
    },
    async truncate(length) {
      await opened().truncate(length);
      await opened().datasync();
    },
    async prepare(bytes) {
      const next = await open(beside, 'w', FILE_MODE);
      try {
        await writeAll(next.fd, bytes, 0);
        await next.sync();
      } catch (error) {
        // What was written would keep a full disk full.
        await unlink(beside).catch(() => undefined);
        throw error;
      } finally {
        await next.close();
      }
    },
    async adopt() {
      await rename(beside, path);
      await reopen(await open(path, APPENDING));
      isReadOnly = false;
      await syncFolder(folder);
    },
    keepDamaged: () => copyFile(path, `${path}.damaged`),
    close: () => reopen(undefined),
  };
}

/** write(2) may take less than it was given, above all when the disk fills up. */
function writeAll(fd: number, bytes: Buffer, offset: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const step = (done: number): void => {
      write(fd, bytes, done, bytes.length - done, offset + done, (error, written) => {
        if (error) reject(error);
        else if (done + written < bytes.length) step(done + written);
        else resolve();
      });
    };
    step(0);
  });
}

function writeAllNow(fd: number, bytes: Buffer, offset: number): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done, bytes.length - done, offset + done);
}

/** A renamed file is found after a power cut only when its directory was synced (fsync(2), NOTES). */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
