// Folders whose names must be on disk before something else says that they are there.
import { closeSync, fsyncSync, openSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** The names in a folder are on disk (fsync(2)); of the files that they stand for nothing is said. */
export function settleFolder(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Those in all folders below as well. */
export function settleTree(path: string): void {
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.isDirectory()) settleTree(join(path, entry.name));
  }
  settleFolder(path);
}
