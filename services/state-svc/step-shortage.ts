// Why a full storage does not take a revision, in the words of the stock runtime: what is missing of its folder, its objects being there, and
// what there is.
import { lstatSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { objectsOf } from './revision-store.ts';

/** `trail`: its folder, which may have been emptied, or be missing. Never rejects. */
export async function shortageOf(trail: string, stateText: string | undefined): Promise<string> {
  const { bsize, bavail, files, ffree } = await statfs(trail)
    .catch(() => statfs(dirname(trail)))
    .catch(() => statfs(dirname(dirname(trail))))
    .catch(() => UNKNOWN);
  // A block, and an inode, for each link's folder at most, and for what it has of its own.
  const required = missingLinks(trail, stateText) + (isThere(trail) ? 1 : NEW_FILES);
  const requiredBytes = bsize * required;
  const availableBytes = files > 0 && ffree < required ? 0 : bsize * bavail;
  return `Space required ${requiredBytes} B, available ${availableBytes} B`;
}

/** The folder, .pvr and .pv, and the three files in them. Of one that is there: the note of what is tried. */
const NEW_FILES = 6;

const UNKNOWN = { bsize: 4096, bavail: 0, files: 0, ffree: 0 };

function missingLinks(trail: string, stateText: string | undefined): number {
  try {
    const paths = [...objectsOf(JSON.parse(stateText ?? '{}')).keys()];
    return paths.filter((path) => !isThere(join(trail, path))).length;
  } catch {
    return 0;
  }
}

function isThere(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return true;
  }
}
