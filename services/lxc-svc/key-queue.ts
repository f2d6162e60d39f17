// Runs work of one key one after the other, work of different keys side by side. Pure.

export interface KeyQueue {
  /** Resolves or rejects as `work` does, which starts when all earlier work of `key` is over, however that ended. */
  run<T>(key: string, work: () => Promise<T>): Promise<T>;
}

export function createKeyQueue(): KeyQueue {
  const tails = new Map<string, Promise<unknown>>();
  return {
    run(key, work) {
      const before = tails.get(key);
      const result = before === undefined ? work() : before.then(work, work);
      const tail: Promise<unknown> = result.then(forget, forget);
      function forget(): void {
        if (tails.get(key) === tail) tails.delete(key);
      }
      tails.set(key, tail);
      return result;
    },
  };
}
