// Compresses rotated files one after the other, in a thread that exists only while there is something to compress.
import { createThreads } from '../../shared/exec/threads.ts';
import type { Compressed } from './compress-worker.ts';

export interface Compression {
  /** Returns at once. One that is waiting or under way already is left alone. */
  add(path: string): void;
  /** The file that is being read right now: it must not be taken away. */
  current(): string | undefined;
  /** Whatever is under way is given up; nothing is lost by that. */
  close(): Promise<void>;
}

export interface CompressionListener {
  onDone(path: string): void;
  onFailed(path: string, reason: string): void;
}

/** `workerPath` is compress-worker.js beside the running bundle, or its source in tests. */
export function createCompression(workerPath: string, listener: CompressionListener): Compression {
  const threads = createThreads<string, Compressed>({ workerPath, name: 'compressFile', maxThreads: 1 });
  const waiting = new Set<string>();
  let current: string | undefined;
  let closed = false;

  const compress = async (path: string): Promise<Compressed> => {
    try {
      return await threads.run(path);
    } catch (error) {
      return { ok: false, reason: String(error) };
    }
  };
  const work = async (): Promise<void> => {
    for (const path of waiting) {
      waiting.delete(path);
      current = path;
      const outcome = await compress(path);
      current = undefined;
      if (closed) return;
      if (outcome.ok) listener.onDone(path);
      else listener.onFailed(path, outcome.reason);
    }
  };
  let working = false;
  return {
    add(path) {
      if (closed || path === current) return;
      waiting.add(path);
      if (working) return;
      working = true;
      void work().finally(() => {
        working = false;
      });
    },
    current: () => current,
    async close() {
      closed = true;
      await threads.close();
    },
  };
}
