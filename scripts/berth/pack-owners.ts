// What a folder loses when it becomes an image: all of it is made root's, and has no attributes. In: a folder. Out: an error where that would
// give a container's user what is root's alone, and a warning for the rest.
import { lstatSync, readdirSync, type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import { hasFileCapabilities } from '../../shared/kernel/file-capabilities.ts';
import type { Problem } from '../../shared/revision/revision.ts';

export interface LostOwners {
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
}

interface Found {
  readonly setuid: string[];
  readonly foreign: string[];
  readonly capable: string[];
}

const SETUID = 0o4000;
const SETGID = 0o2000;

/**
 * `path` names the folder in problems. Whom the folder itself belongs to stands for root: who unpacks an archive without being root gets
 * root's files as their own. Codes: SETUID_FOREIGN; warning OWNERS_LOST.
 */
export function lostOwners(folder: string, path: string): LostOwners {
  const found: Found = { setuid: [], foreign: [], capable: [] };
  const top = statSync(folder, { throwIfNoEntry: false });
  if (top !== undefined) look(folder, '', top, found);
  const { setuid, foreign, capable } = found;
  const wayOut = 'to keep owners and capabilities, make the image with mksquashfs FOLDER FILE.squashfs -noappend';
  const problems = setuid.map((file) => {
    const message = `is setuid or setgid for another than root, and would be for root, as all that is packed becomes root's; ${wayOut}, or remove the bit`;
    return { path: `${path}/${file}`, code: 'SETUID_FOREIGN', message };
  });
  const lost = [
    ...(foreign.length > 0 ? [`owners of ${counted(foreign)}`] : []),
    ...(capable.length > 0 ? [`capabilities of ${counted(capable)}`] : []),
  ];
  const message = `loses the ${lost.join(' and the ')}: all that is packed becomes root's, without capabilities; ${wayOut}`;
  return { problems, warnings: lost.length === 0 ? [] : [{ path, code: 'OWNERS_LOST', message }] };
}

function look(folder: string, inside: string, top: Stats, found: Found): void {
  for (const name of namesIn(join(folder, inside))) {
    const path = inside === '' ? name : `${inside}/${name}`;
    const stats = lstatSync(join(folder, path), { throwIfNoEntry: false });
    // Nobody asks whose a link is.
    if (stats === undefined || stats.isSymbolicLink()) continue;
    const isForeign = { uid: stats.uid !== 0 && stats.uid !== top.uid, gid: stats.gid !== 0 && stats.gid !== top.gid };
    const isFor = (bit: number): boolean => stats.isFile() && (stats.mode & bit) !== 0;
    if ((isFor(SETUID) && isForeign.uid) || (isFor(SETGID) && isForeign.gid)) found.setuid.push(path);
    if (isForeign.uid || isForeign.gid) found.foreign.push(path);
    if (isFor(0o111) && hasFileCapabilities(join(folder, path))) found.capable.push(path);
    if (stats.isDirectory()) look(folder, path, top, found);
  }
}

/** What cannot be read is mksquashfs's to name. */
function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

function counted([first = '', ...others]: readonly string[]): string {
  return others.length === 0 ? first : `${first} and ${others.length} more`;
}
