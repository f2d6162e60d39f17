// Puts the stores of objects, uploads and revisions together.
import { join } from 'node:path';
import type { Logger } from '../../shared/log/logger.ts';
import { createArrivals } from './arrivals.ts';
import type { Clock } from './clock.ts';
import { openObjectStore } from './object-store.ts';
import type { Ownership } from './ownership.ts';
import type { RevisionStore } from './revision-store.ts';
import { createStepDesk, type StepDesk } from './step-desk.ts';
import type { StepStore } from './step-store.ts';
import { createStorageRoom } from './storage-room.ts';
import { createUploads } from './uploads.ts';

export interface DeskSettings {
  readonly storage: string;
  readonly store: RevisionStore;
  readonly steps: StepStore;
  readonly ownership?: Ownership | undefined;
  readonly clock: Clock;
  readonly log: Logger;
  /** Of the file system, kept free: storage.gc.reserved. */
  readonly reservedPercent: () => number;
  usedFor(name: string): string | undefined;
  /** Collects garbage. Never rejects. */
  makeRoom(): Promise<void>;
}

/** What was interrupted is tidied up when it resolves. */
export async function openDesk({
  storage,
  store,
  steps,
  ownership,
  clock,
  log,
  reservedPercent,
  usedFor,
  makeRoom,
}: DeskSettings): Promise<StepDesk> {
  const room = createStorageRoom(join(storage, 'objects'), reservedPercent);
  const objects = openObjectStore(storage, log, ownership);
  const arrivals = createArrivals(clock);
  const uploads = createUploads({ storage, objects, store, room, arrivals, log, makeRoom });
  await uploads.open();
  return createStepDesk({ store, objects, uploads, steps, arrivals, room, log, usedFor });
}
