// Whether a user may give a file that is not his a second name, in his own folder: with fs.protected_hardlinks of 0, as kernels have it until
// somebody says otherwise, he may, and would be given the file itself with all that is in there (give-tree.ts). In: the kernel's parameter. Out:
// it is set; or why not, in words.
import { readFileSync, writeFileSync } from 'node:fs';
import { reasonOf } from '../../shared/kernel/system-error.ts';

/** To be called before any service runs. `maySet`: whether parameters of the kernel are ours to set. Never throws. */
export function protectLinks(maySet: boolean, path = '/proc/sys/fs/protected_hardlinks'): readonly string[] {
  const unprotected = (why: string): readonly string[] => [
    `a service that is taken over could be given files of root's by hard links: fs.protected_hardlinks is ${why}; set it to 1`,
  ];
  try {
    if (readFileSync(path, 'utf8').trim() !== '0') return [];
    if (!maySet) return unprotected('0');
    writeFileSync(path, '1\n');
    return [];
  } catch (error) {
    return unprotected(`not set: ${reasonOf(error)}`);
  }
}
