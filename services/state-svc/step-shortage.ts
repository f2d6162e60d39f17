// Why a full storage does not take a revision, in the words of the stock runtime: what is missing of its folder, its objects being there, and
// what there is.
import { lstatSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { objectsOf } from './revision-store.ts';

/** `trail`: its folder, which may have been emptied. Never rejects. */
export async function shortageOf(trail: string, stateText: string | undefined): Promise<string> {
  const { bsize, bavail, files, ffree } = await statfs(trail).catch(() => UNKNOWN);
  // A block for each link's folder at most, and one for the note of what is tried.
  const requiredBytes = bsize * (missingLinks(trail, stateText) + 1);
  const availableBytes = files > 0 && ffree === 0 ? 0 : bsize * bavail;
  return `Space required ${requiredBytes} B, available ${availableBytes} B`;
}

const UNKNOWN = { bsize: 4096, bavail: 0, files: 0, ffree: 0 };

function missingLinks(trail: string, stateText: string | undefined): number {
  try {
    const paths = [...objectsOf(JSON.parse(stateText ?? '{}')).keys()];
    return paths.filter((path) => lstatSync(join(trail, path), { throwIfNoEntry: false }) === undefined).length;
  } catch {
    return 0;
  }
}
