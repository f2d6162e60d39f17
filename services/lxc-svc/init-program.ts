// The root filesystem of a container that is mounted, as the search for its init reads it.
import { Buffer } from 'node:buffer';
import { closeSync, constants, lstatSync, openSync, readlinkSync, readSync } from 'node:fs';
import { posix } from 'node:path';
import { HEAD_BYTES } from '../../shared/lxc-config/elf-interpreter.ts';
import type { LxcEntry } from '../../shared/lxc-config/entry.ts';
import { initProblem as problemIn, type RootNode } from '../../shared/lxc-config/init-problem.ts';
import { usingInside } from './inside-path.ts';

/** Why the container's init cannot be run, undefined when it can or when only the start itself can tell. */
export function initProblem(rootfs: string, entries: readonly LxcEntry[]): string | undefined {
  const look = (path: string): RootNode | undefined => nodeAt(posix.join(rootfs, path));
  return problemIn({ look, headOf: (path) => headOf(rootfs, path) }, entries);
}

function nodeAt(path: string): RootNode | undefined {
  try {
    const stats = lstatSync(path);
    if (stats.isSymbolicLink()) return { kind: 'link', target: readlinkSync(path) };
    return stats.isFile() ? { kind: 'file', mode: stats.mode } : { kind: 'other' };
  } catch {
    // ENOENT, or ENOTDIR below a file.
    return undefined;
  }
}

/** Of all files: what is read is looked at before the next read. */
const head = Buffer.allocUnsafeSlow(HEAD_BYTES);

/** `inside`: without links, and opened so: another container may have the writable layer mounted, and make one of it meanwhile. */
function headOf(rootfs: string, inside: string): Buffer {
  return usingInside(rootfs, inside, (file) => {
    const opened = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      return head.subarray(0, readSync(opened, head, 0, HEAD_BYTES, 0));
    } finally {
      closeSync(opened);
    }
  });
}
