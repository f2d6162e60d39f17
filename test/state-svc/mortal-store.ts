// The store of a state-svc that is killed while the test's process lives on: what it had begun on the disk ends, and nothing follows that.
import type { RevisionStore } from '../../services/state-svc/revision-store.ts';

export interface MortalStore {
  readonly store: RevisionStore;
  /** Resolves when nothing of it is under way any more. */
  kill(): Promise<void>;
}

export function mortalStore(store: RevisionStore): MortalStore {
  const begun = new Set<Promise<unknown>>();
  let isKilled = false;
  const untilKilled = async <T>(work: Promise<T>): Promise<T> => {
    begun.add(work);
    try {
      return await work;
    } finally {
      begun.delete(work);
      if (isKilled) await new Promise(() => undefined);
    }
  };
  return {
    store: {
      ...store,
      readState: (revision) => untilKilled(store.readState(revision)),
      verifyObjects: (objects, occasion) => untilKilled(store.verifyObjects(objects, occasion)),
      checkOut: (revision, objects) => untilKilled(store.checkOut(revision, objects)),
    },
    async kill() {
      isKilled = true;
      await Promise.allSettled(begun);
    },
  };
}
