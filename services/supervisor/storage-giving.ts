// When what somebody has put into the storage is given to its service: one walk at a time, and one more for all who ask while it is under way.
import type { ServiceName } from '../../shared/ipc/contract.ts';
import { createTurn } from '../../shared/time/in-turn.ts';

/** Resolves when all that was there when it was asked is given. */
export type StorageGiving = (service: ServiceName) => Promise<void>;

export function createStorageGiving(give: StorageGiving): StorageGiving {
  const inTurn = createTurn();
  /** Those that have not begun. */
  const coming = new Map<ServiceName, Promise<void>>();
  return (service) => {
    const known = coming.get(service);
    if (known !== undefined) return known;
    const next = inTurn(() => {
      coming.delete(service);
      return give(service);
    });
    coming.set(service, next);
    return next;
  };
}
