// Puts the garbage collector together.
import { join } from 'node:path';
import { createGarbageCollector, type GarbageCollector, type GarbageContext } from './garbage-collector.ts';
import { createStorageRoom } from './storage-room.ts';

export interface OpenGarbage extends GarbageCollector {
  /** Whatever can be had. Never rejects. */
  makeRoom(): Promise<void>;
}

export interface OpenGarbageContext extends Pick<GarbageContext, 'desk' | 'clock' | 'log' | 'settings' | 'needed'> {
  readonly storage: string;
  /** Of the file system, kept free: storage.gc.reserved. */
  readonly reservedPercent: () => number;
}

export function openGarbage({ storage, reservedPercent, ...context }: OpenGarbageContext): OpenGarbage {
  const room = createStorageRoom(join(storage, 'objects'), reservedPercent);
  const collector = createGarbageCollector({ ...context, room });
  return {
    ...collector,
    makeRoom: () =>
      collector.collectOld().then(
        () => undefined,
        (error: unknown) => context.log.warn(`no room could be made: ${String(error)}`),
      ),
  };
}
