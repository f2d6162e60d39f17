// Hashes files in threads that exist only while there is something to hash: an idle worker would cost 10 MB.
import { availableParallelism } from 'node:os';
import type { FileChecksum } from './checksum-worker.ts';

export interface Checksums {
  /** Rejects only when no thread can be had. Never settles after `close`: whoever waits is about to end as well. */
  checksum(path: string): Promise<FileChecksum>;
  close(): Promise<void>;
}

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
  return {
    async checksum(path) {
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
