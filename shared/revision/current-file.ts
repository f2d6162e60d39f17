// In which file of a storage it is written which revision runs:
//   <storage>/boot/current.json
//   <storage>/trails/.current.json    instead of it, as soon as it is there: boot/ took nothing from state-svc, being a boot partition that is
//                                     FAT, which has no owners, or that is read-only. No revision has a name that begins with a dot.
import { statSync } from 'node:fs';
import { join } from 'node:path';

export const CURRENT = 'boot/current.json';
export const CURRENT_BESIDE = 'trails/.current.json';

/** Whether that is there or not. Throws where it cannot be seen. */
export function currentFile(storage: string): typeof CURRENT | typeof CURRENT_BESIDE {
  return statSync(join(storage, CURRENT_BESIDE), { throwIfNoEntry: false }) === undefined ? CURRENT : CURRENT_BESIDE;
}
