// /etc/hostname of a container, equal to its UTS name: init systems set the name from this file when they start.
import { closeSync, constants, lstatSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorCode, reasonOf } from '../../shared/kernel/system-error.ts';

const { O_CREAT, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_TRUNC, O_WRONLY } = constants;
/** A host name has 64 characters; what is longer is not read. */
const MAX_BYTES = 256;

/**
 * `rootfs`: mounted, and nothing of the container runs. Only `etc` itself and a plain file in it are written to: a link could lead
 * out of the root. What says so already is left alone, so that nothing is copied up. Answers why it was not written; never throws.
 */
export function writeHostname(rootfs: string, hostname: string): string | undefined {
  try {
    const folder = openSync(join(rootfs, 'etc'), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    try {
      // Through the open folder, whatever its path leads to meanwhile (proc(5), /proc/[pid]/fd).
      return writeInto(`/proc/self/fd/${folder}/hostname`, `${hostname}\n`);
    } finally {
      closeSync(folder);
    }
  } catch (error) {
    // An image without /etc has nobody who would read it there.
    if (errorCode(error) === 'ENOENT') return undefined;
    return reasonOf(error);
  }
}

function writeInto(path: string, text: string): string | undefined {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found !== undefined && !found.isFile()) return 'it is no plain file';
  if (found !== undefined && found.size <= MAX_BYTES && read(path) === text) return undefined;
  const file = openSync(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK, 0o644);
  try {
    writeFileSync(file, text);
    return undefined;
  } finally {
    closeSync(file);
  }
}

function read(path: string): string {
  const file = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    return readFileSync(file, 'utf8');
  } finally {
    closeSync(file);
  }
}
