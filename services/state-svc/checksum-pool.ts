// Hashes files in threads that exist only while there is something to hash: an idle worker would cost 10 MB.
import type { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { type FileHandle, open as openFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import process from 'node:process';
import type { FileChecksum } from './checksum-worker.ts';

type Hasher = typeof createHash;

export interface Checksums {
  /** Rejects only when no thread can be had. Never settles after `close`: whoever waits is about to end as well. */
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

/** Milliseconds that an idle thread is kept: long enough for the next object of the same revision, no longer. */
const IDLE_MS = 500;

/**
 * `workerPath` is checksum-worker.js beside the running bundle, or its source in tests (threads inherit the loader of the
 * process). piscina is loaded with the first file. Its optional native addon sets the priority of threads and is loaded for
 * `niceIncrement` only, so that all of it works under Node's permission model with --allow-worker.
 */
export function createChecksums(workerPath: string): Checksums {
  const open = async () => {
    const { Piscina } = await import('piscina');
    return new Piscina<string, FileChecksum>({
      filename: workerPath,
      name: 'checksumFile',
      minThreads: 0,
      maxThreads: Math.max(2, availableParallelism()),
      idleTimeout: IDLE_MS,
    });
  };
  let pool: ReturnType<typeof open> | undefined;
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
  return {
    async checksum(path) {
      // Loaded with the first file: most starts find every object as it was, and OpenSSL costs this process 380 KB and 2.7 ms of CPU.
      // import() would copy a hundred properties of it in a bundle.
      const { createHash: hasher } = process.getBuiltinModule('node:crypto');
      const own = hashSmall(path, hasher) ?? (await hashHere(path, hasher));
      if (own !== undefined) return { ok: true, sha256: own };
      pool ??= open();
      try {
        return await (await pool).run(path);
      } catch (error) {
        // Its thread was taken away under it, which says nothing about the file.
        if (closed) return new Promise(() => undefined);
        throw error;
      }
    },
    async close() {
      closed = true;
      await (await pool)?.destroy();
    },
  };
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
