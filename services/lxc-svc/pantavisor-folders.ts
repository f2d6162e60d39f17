// Makes what is to be mounted under a container's /pantavisor ready: mount points, and the folder of its logs. Owners of the folders
// have fewer privileges than this service, so nothing that they put there is followed.
import { closeSync, constants, existsSync, fchownSync, mkdirSync, openSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { errorCode } from '../../shared/kernel/system-error.ts';
import type { PantavisorSources, SourceFolder } from './pantavisor-sources.ts';
import { failingStep } from './step-failure.ts';

/** `logUid`: who writes logs. Throws StepFailure when a source is missing, or is not the folder that it should be. */
export function preparePantavisor({ sockets, shown }: PantavisorSources, logUid: number | undefined): void {
  failingStep('/pantavisor', () => {
    for (const name of Object.keys(shown)) mkdirSync(join(sockets, name), { recursive: true, mode: 0o755 });
    if (!existsSync(shown.logs.root)) mkdirSync(shown.logs.root, { recursive: true, mode: 0o755 });
    for (const source of Object.values(shown)) {
      // Nothing was logged by it yet.
      checkFolder(source, source === shown.logs ? maker(logUid) : () => undefined);
    }
  });
}

type BeforeOpening = (parent: number, name: string) => void;

function maker(uid: number | undefined): BeforeOpening {
  return (parent, name) => {
    const path = `/proc/self/fd/${parent}/${name}`;
    // As that of the revision is; the look is cheaper than the error.
    if (existsSync(path)) return;
    try {
      mkdirSync(path, { mode: 0o755 });
    } catch (error) {
      if (errorCode(error) === 'EEXIST') return;
      throw error;
    }
    const made = openFolder(path);
    if (uid !== undefined) fchownSync(made, uid, uid);
    closeSync(made);
  };
}

function checkFolder(source: SourceFolder, before: BeforeOpening): void {
  const { start, end } = walk(source, before);
  const expected = [start, ...source.below].join('/');
  if (end !== expected) throw new Error(`${expected} leads to ${end}`);
}

/**
 * Opens one folder after the other, each through the one before; answers where the root is and where that led. Throws at links and where
 * there is none.
 */
function walk({ root, below }: SourceFolder, before: BeforeOpening): { readonly start: string; readonly end: string } {
  let folder = openSync(root, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const start = readlinkSync(`/proc/self/fd/${folder}`);
    for (const name of below) {
      before(folder, name);
      const next = openFolder(`/proc/self/fd/${folder}/${name}`);
      closeSync(folder);
      folder = next;
    }
    return { start, end: readlinkSync(`/proc/self/fd/${folder}`) };
  } finally {
    closeSync(folder);
  }
}

function openFolder(path: string): number {
  return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
}
