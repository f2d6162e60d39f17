// Hashes files in threads, where these can be had.
import type { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { type FileHandle, open as openFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import process from 'node:process';
import { loadLater } from '../../shared/boot/load-later.ts';
import { createThreads } from '../../shared/exec/threads.ts';
import { errorCode } from '../../shared/kernel/system-error.ts';
import type { Logger } from '../../shared/log/logger.ts';
import { createTurn } from '../../shared/time/in-turn.ts';
import type { FileChecksum } from './checksum-worker.ts';

type Hasher = typeof createHash;

export interface Checksums {
  /** Never rejects. Never settles after `close`: whoever waits is about to end as well. */
  checksum(path: string): Promise<FileChecksum>;
  close(): Promise<void>;
}

/**
 * Bytes that are hashed here before a thread is started for the rest: about what can be hashed while a thread comes up, and a small
 * revision needs none at all.
 */
const OWN_BYTES = 4 * 1024 * 1024;
/** A read and its hash, between which others get their turn. */
const OWN_CHUNK_BYTES = 128 * 1024;

/** One that is read at once: the five steps of reading it in threads cost twenty times as much. */
const SMALL_BYTES = 32 * 1024;

/** `workerPath` is checksum-worker.js beside the running bundle, or its source in tests. */
export function createChecksums(workerPath: string, log?: Pick<Logger, 'warn'>): Checksums {
  const threads = createThreads<string, FileChecksum>({
    workerPath,
    name: 'checksumFile',
    maxThreads: Math.max(2, availableParallelism()),
    onLost: (reason) =>
      log?.warn(`the threads that hash files are lost, what they had is hashed without any: ${String(reason)}`),
  });
  let closed = false;
  let ownBytes = OWN_BYTES;
  /** Undefined: it is larger, or cannot be read. */
  const hashSmall = (path: string, hasher: Hasher): string | undefined => {
    try {
      // No wait for somebody who writes to it, whatever it is.
      const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
      try {
        const { size } = fstatSync(fd);
        if (size > Math.min(SMALL_BYTES, ownBytes)) return undefined;
        ownBytes -= size;
        return hasher('sha256').update(readFileSync(fd)).digest('hex');
      } finally {
        closeSync(fd);
      }
    } catch {
      return undefined;
    }
  };
  /** Undefined: it is for a thread, also to say what is wrong with it. */
  const hashHere = async (path: string, hasher: Hasher): Promise<string | undefined> => {
    const file = await openFile(path).catch(() => undefined);
    if (file === undefined) return undefined;
    try {
      const { size } = await file.stat();
      if (size > ownBytes) return undefined;
      ownBytes -= size;
      return await sha256Of(file, hasher);
    } catch {
      return undefined;
    } finally {
      await file.close();
    }
  };
  /** Without a thread, of whatever size: one after the other, so that as many as there are take no more memory than one. */
  const inTurn = createTurn();
  return {
    async checksum(path) {
      // Loaded with the first file: most starts find every object as it was, and OpenSSL costs this process 380 KB and 2.7 ms of CPU.
      // import() would copy a hundred properties of it in a bundle.
      const { createHash: hasher } = loadLater(() => process.getBuiltinModule('node:crypto'));
      const own = hashSmall(path, hasher) ?? (await hashHere(path, hasher));
      if (own !== undefined) return { ok: true, sha256: own };
      try {
        return await threads.run(path);
      } catch {
        return inTurn(() => (closed ? never() : hashFile(path, hasher)));
      }
    },
    async close() {
      closed = true;
      await threads.close();
    },
  };
}

const never = (): Promise<never> => new Promise(() => undefined);

async function hashFile(path: string, hasher: Hasher): Promise<FileChecksum> {
  try {
    const file = await openFile(path);
    try {
      return { ok: true, sha256: await sha256Of(file, hasher) };
    } finally {
      await file.close();
    }
  } catch (error) {
    return { ok: false, missing: errorCode(error) === 'ENOENT', reason: String(error) };
  }
}

async function sha256Of(file: FileHandle, hasher: Hasher): Promise<string> {
  const hash = hasher('sha256');
  const chunk = Buffer.allocUnsafe(OWN_CHUNK_BYTES);
  for (;;) {
    const { bytesRead } = await file.read(chunk, 0, chunk.length);
    if (bytesRead === 0) return hash.digest('hex');
    hash.update(chunk.subarray(0, bytesRead));
  }
}
