// Where containers of a storage were left running, so that another rundir, which knows nothing of them, does not start them a second
// time on the same volumes and leases. To be read and written by who holds the lock of the storage.
//   <storage>/supervisor/rundir.json   { "boot", "storage", "rundir" }   written beside, renamed; not synced: of this boot only
import { readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import * as z from 'zod/mini';
import { makeFolders } from '../../shared/kernel/make-folders.ts';
import { escapePath } from '../../shared/kernel/mount-words.ts';
import { spareName } from '../../shared/kernel/spare-name.ts';
import { textIfThere } from '../../shared/kernel/text-if-there.ts';

const file = z.strictObject({
  boot: z.string(),
  /** Device and inode: a copy has neither both nor the containers. */
  storage: z.string(),
  rundir: z.string(),
});

const pathIn = (storage: string): string => join(storage, 'supervisor/rundir.json');

/** The rundir of the tree before, where containers or their network still have mounts: nobody has stopped them, nor has the machine restarted. */
export function leftRunning(storage: string): string | undefined {
  const rundir = readNote(storage)?.rundir;
  return rundir !== undefined && hasMountsBelow(rundir) ? rundir : undefined;
}

/** Throws where nothing can be written. */
export function noteRundir(storage: string, rundir: string): void {
  if (readNote(storage)?.rundir === rundir) return;
  const path = pathIn(storage);
  makeFolders(dirname(path), 0o755);
  const beside = spareName(`${path}.new`);
  writeFileSync(beside, JSON.stringify({ boot: bootId(), storage: identityOf(storage), rundir }));
  renameSync(beside, path);
}

/** `folder` is without links, as the kernel tells mounts. */
export function hasMountsBelow(folder: string): boolean {
  const start = `${escapePath(folder)}/`;
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  return lines.some((line) => line.split(' ', 5)[4]?.startsWith(start));
}

/** None of another boot, of the storage that this one was copied from, or that cannot be read: a power cut may have torn it. */
function readNote(storage: string): z.infer<typeof file> | undefined {
  try {
    const note = file.parse(JSON.parse(textIfThere(pathIn(storage))));
    return note.boot === bootId() && note.storage === identityOf(storage) ? note : undefined;
  } catch {
    return undefined;
  }
}

const bootId = (): string => readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();

function identityOf(storage: string): string {
  const { dev, ino } = statSync(storage);
  return `${dev}:${ino}`;
}
