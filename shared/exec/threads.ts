// Work in threads of their own, which exist only while there is some: an idle one would cost 10 MB.
import type { Piscina } from 'piscina';

export interface Threads<T, R> {
  /** Rejects when no thread can be had, or when it was taken away under the work, which says nothing about the work. */
  run(task: T): Promise<R>;
  /** What is under way is given up. */
  close(): Promise<void>;
}

export interface ThreadSettings {
  /** A bundle that lies beside the running one, or its source in tests: threads inherit the loader of the process. */
  readonly workerPath: string;
  /** Of the function in it, which returns what goes wrong with a task and does not throw it. */
  readonly name: string;
  readonly maxThreads: number;
  /** Why what was to be done in threads just now has to be done without. */
  onLost?(reason: unknown): void;
}

interface Pool<T, R> {
  readonly piscina: Promise<Piscina<T, R>>;
  /** Why it is of no use any more. */
  fault?: unknown;
}

/** Milliseconds that an idle thread is kept: long enough for the next task of the same work, no longer. */
const IDLE_MS = 500;

/**
 * piscina is loaded with the first task. Its optional native addon sets the priority of threads and is loaded for `niceIncrement` only,
 * so that all of it works under Node's permission model with --allow-worker.
 */
export function createThreads<T, R>({ workerPath, name, maxThreads, onLost }: ThreadSettings): Threads<T, R> {
  const load = async (): Promise<Piscina<T, R>> => {
    const { Piscina } = await import('piscina');
    return new Piscina<T, R>({ filename: workerPath, name, minThreads: 0, maxThreads, idleTimeout: IDLE_MS });
  };
  const open = (): Pool<T, R> => {
    const made: Pool<T, R> = { piscina: load() };
    // A thread that ends before it is ready. No other one comes in its place: whatever waits in the pool would do so for ever.
    made.piscina.then(
      (piscina) => piscina.on('error', (error) => lose(made, error)),
      (error: unknown) => lose(made, error),
    );
    return made;
  };
  let pool: Pool<T, R> | undefined;
  let closed = false;
  /** The next task gets another one. */
  const lose = (lost: Pool<T, R>, error: unknown): void => {
    if (lost.fault !== undefined) return;
    lost.fault = error;
    if (pool === lost) pool = undefined;
    if (!closed) onLost?.(error);
    void destroy(lost);
  };
  const destroy = async (given: Pool<T, R> | undefined): Promise<void> => {
    const piscina = await given?.piscina.catch(() => undefined);
    await piscina?.destroy();
  };
  return {
    async run(task) {
      pool ??= open();
      const mine = pool;
      try {
        return await (await mine.piscina).run(task);
      } catch (error) {
        lose(mine, error);
        throw mine.fault;
      }
    },
    async close() {
      closed = true;
      await destroy(pool);
    },
  };
}
