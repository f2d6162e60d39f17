// A path as the kernel tells it in /proc/self/mountinfo and /proc/swaps: without links.
import { realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** `path` is absolute. What is not there yet is taken as it is written, below the real place of what is. */
export function realPlace(path: string): string {
  try {
    return realpathSync.native(path);
  } catch {
    // Not there, or not to be reached: whoever makes or opens it says so.
    const parent = dirname(path);
    return parent === path ? path : join(realPlace(parent), basename(path));
  }
}
