// Reads small files that may not be there. At once: in threads it takes four steps, 20 times the CPU.
import { readFileSync } from 'node:fs';
import { errorCode } from './system-error.ts';

/** Empty where `path` cannot be read: a board without a device tree, a kernel without modules, a host without name servers. */
export function textIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** `undefined` when there is no such file; anything else that goes wrong is thrown. */
export function readIfPresent(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
