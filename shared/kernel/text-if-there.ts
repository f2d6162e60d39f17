// Reads small files of a machine that may not have them.
import { readFileSync } from 'node:fs';

/** Empty where `path` cannot be read: a board without a device tree, a kernel without modules, a host without name servers. */
export function textIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
