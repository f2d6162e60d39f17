// In which file of a storage it is written which revision runs:
//   <storage>/boot/current.json
//   <storage>/trails/.current.json      instead of it, as soon as it is there: boot/ took nothing from state-svc, being a boot partition that is
//                                       FAT, which has no owners, or that is read-only. No revision has a name that begins with a dot.
//   <storage>/trails/.current.json.<n>  instead of those before it: their inodes are damaged, and nothing can take their place
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { spareNames } from '../kernel/spare-name.ts';
import { isDamaged } from '../kernel/system-error.ts';

export const CURRENT = 'boot/current.json';
export const CURRENT_BESIDE = 'trails/.current.json';

const BESIDE: readonly string[] = spareNames(CURRENT_BESIDE);

/** The last one that is there, also where that is damaged: those before it say what was. Throws where it cannot be seen. */
export function currentFile(storage: string): string {
  return BESIDE.findLast((file) => isThere(join(storage, file))) ?? CURRENT;
}

/** What is written where the disk, or `file` itself, takes nothing there; undefined: there is no other. */
export function currentAfter(file: string): string | undefined {
  return BESIDE[BESIDE.indexOf(file) + 1];
}

function isThere(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch (error) {
    if (!isDamaged(error)) throw error;
    return true;
  }
}
