// What a state-svc has on disk that is killed while the test's process lives on: what it had begun there ends, and nothing follows that.
import type { IntentStore } from '../../services/state-svc/intent-store.ts';
import type { RevisionStore } from '../../services/state-svc/revision-store.ts';

export interface MortalStore {
  readonly store: RevisionStore;
  readonly intents: IntentStore;
  /** Resolves when nothing of it is under way any more. */
  kill(): Promise<void>;
}

export function mortalStore(store: RevisionStore, intents: IntentStore): MortalStore {
  const begun = new Set<Promise<unknown>>();
  let isKilled = false;
  const death = new Promise<never>(() => undefined);
  const untilKilled = async <T>(begin: () => Promise<T>): Promise<T> => {
    if (isKilled) return death;
    const work = begin();
    begun.add(work);
    try {
      return await work;
    } finally {
      begun.delete(work);
      if (isKilled) await death;
    }
  };
  return {
    store: {
      ...store,
      readState: (revision) => untilKilled(() => store.readState(revision)),
      verifyObjects: (objects, occasion) => untilKilled(() => store.verifyObjects(objects, occasion)),
      checkOut: (revision, objects) => untilKilled(() => store.checkOut(revision, objects)),
    },
    intents: {
      ...intents,
      set: (container, change) => untilKilled(() => intents.set(container, change)),
      keepOnly: (containers) => untilKilled(() => intents.keepOnly(containers)),
    },
    async kill() {
      isKilled = true;
      await Promise.allSettled(begun);
    },
  };
}
