// Another name where the disk does not give what has the first one: a damaged inode can be neither opened nor renamed over nor removed before the
// file system is checked, so that whoever always writes to one name would never write again.
import { lstatSync } from 'node:fs';
import { isDamaged } from './system-error.ts';

/** Of one small file more are hardly damaged at once. */
const MAX_SPARES = 3;

/** `path` and those that stand in for it, in their order. */
export function spareNames(path: string): readonly string[] {
  return [path, ...Array.from({ length: MAX_SPARES }, (_, at) => `${path}.${at + 1}`)];
}

/** The first of them that can be written: none is there, or one that can be looked at. `path` where none can. */
export function spareName(path: string): string {
  return spareNames(path).find((name) => !isDamagedAt(name)) ?? path;
}

/** Whether the disk does not give what is there. */
export function isDamagedAt(path: string): boolean {
  try {
    lstatSync(path, { throwIfNoEntry: false });
    return false;
  } catch (error) {
    return isDamaged(error);
  }
}
