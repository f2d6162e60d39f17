// What is mounted of each container, or was last: read from its record once, as nobody but this service writes it, and each start asks
// for it several times.
import { containerPlaces, type Places } from './places.ts';
import { type MountRecord, readMountRecord, writeMountRecord } from './record-store.ts';

export interface MountRecords {
  /** Undefined: none was ever written, or none of ours. */
  read(container: string): MountRecord | undefined;
  /** Throws what the file system throws; then the one before it holds. */
  write(container: string, record: MountRecord): void;
}

export function createMountRecords(places: Places): MountRecords {
  const known = new Map<string, MountRecord | undefined>();
  const pathOf = (container: string): string => containerPlaces(places, container).mountRecord;
  return {
    read(container) {
      if (!known.has(container)) known.set(container, readMountRecord(pathOf(container)));
      return known.get(container);
    },
    write(container, record) {
      writeMountRecord(pathOf(container), record);
      known.set(container, record);
    },
  };
}
