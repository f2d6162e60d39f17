// An LXC configuration from the store of objects, for parseState: whatever a state names as one, no more of it is read than it refuses.
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { MAX_CONFIG_BYTES } from '../lxc-config/parse.ts';

/** Its text; of one that is larger than a configuration may be only the beginning, which is too large as well. Undefined: it cannot be read. */
export function readConfigObject(path: string): string | undefined {
  let fd: number | undefined;
  try {
    fd = openSync(path, 'r');
    const bytes = Buffer.alloc(Math.min(fstatSync(fd).size, MAX_CONFIG_BYTES + 1));
    return bytes.toString('utf8', 0, readSync(fd, bytes));
  } catch {
    return undefined;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
