// Makes a folder with those above it that are missing, part by part. Node's own way tells a read-only file system as ENOENT, and never ends
// where the kernel says ENOENT below a folder that is there, as it does in /proc.
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { statIfThere } from './stat-if-there.ts';

/** Answers those that it made, the outermost first. Throws what the kernel said, with the path that it said it of. `mode` is less the umask. */
export function makeFolders(path: string, mode = 0o777): readonly string[] {
  return missing(path).filter((folder) => {
    try {
      mkdirSync(folder, { mode });
      return true;
    } catch (error) {
      // Somebody else was faster.
      if (statIfThere(folder)?.isDirectory() === true) return false;
      throw error;
    }
  });
}

/** `path` itself also when it is there as something else than a folder: mkdir(2) says what is wrong with that. */
function missing(path: string): readonly string[] {
  const found = statIfThere(path);
  if (found?.isDirectory() === true) return [];
  const parent = dirname(path);
  return found !== undefined || parent === path ? [path] : [...missing(parent), path];
}
