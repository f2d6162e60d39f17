// Where a pack makes what it renames to its place in a storage, for nobody else to touch; and what packs have left there that were killed.
//   <folder>/.berth-pack.<pid>/namespace       where that pid counts: the boot, and the PID namespace
//                             /trail           a revision that is being made
//                             /old/<revision>  what has to make way for it
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, renameSync, rmSync, statSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { errorCode } from '../../shared/kernel/system-error.ts';
import { PackFailure } from './pack-command.ts';
import { settleFolder } from './settle-folders.ts';

const NAME = /^\.berth-pack\.(\d{1,10})$/;
const OWN_MODE = 0o700;
const WRITE_BY_OTHERS = 0o022;
/** Nobody packs for so long without making a file in it. */
const STALE_MS = 3_600_000;

/** Of a folder in which others than root could swap what root makes. For root alone: what others pack, they pack where they may. */
export function isOpenToOthers(folder: string): boolean {
  const { uid, mode } = statSync(folder);
  return process.getuid?.() === 0 && (uid !== 0 || (mode & WRITE_BY_OTHERS) !== 0);
}

/** `folder` is without links, and on the file system of what is renamed. `trails`: where a revision goes back to that a kill left in between. */
export async function withWorkplace<T>(
  folder: string,
  trails: string,
  doWork: (work: string) => Promise<T>,
): Promise<T> {
  if (!isOpenToOthers(folder)) for (const name of readdirSync(folder)) removeLeft(folder, name, trails);
  const work = join(folder, `.berth-pack.${process.pid}`);
  try {
    await mkdir(work, { mode: OWN_MODE });
  } catch (error) {
    if (!existsSync(work)) throw error;
    throw new PackFailure(`${work} is somebody else’s: another pack’s in a container, maybe; remove it if none runs`);
  }
  try {
    await writeFile(join(work, 'namespace'), namespace());
    return await doWork(work);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Where the revision goes that has to make way. */
export const oldTrail = (work: string, revision: string): string => join(work, 'old', encodeURIComponent(revision));

/** What cannot be removed keeps nobody from packing. */
function removeLeft(folder: string, name: string, trails: string): void {
  const pid = NAME.exec(name)?.[1];
  if (pid === undefined) return;
  const left = join(folder, name);
  try {
    if (isLeft(left, Number(pid)) && isWithoutOld(left, trails)) rmSync(left, { recursive: true, force: true });
  } catch {
    // Its owner has ended just now and removed it, or the storage does not let it be removed.
  }
}

function isLeft(work: string, pid: number): boolean {
  const { uid, mode, mtimeMs } = lstatSync(work);
  const isOurs = uid === process.geteuid?.() && (mode & 0o170777) === (0o040000 | OWN_MODE);
  if (!isOurs || (pid !== process.pid && isAlive(pid))) return false;
  // In another namespace, or on another machine, the pid says nothing.
  const own = namespace();
  return (own !== '' && readIfThere(join(work, 'namespace')) === own) || isStale(mtimeMs);
}

/** A pid that is somebody else's by now keeps what was left a while longer. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) !== 'ESRCH';
  }
}

/** Killed between both renames: what had to make way goes back to its place. */
function isWithoutOld(work: string, trails: string): boolean {
  const old = join(work, 'old');
  if (!existsSync(join(work, 'trail')) || !existsSync(old)) return true;
  // Of a former build: nobody can tell its name.
  if (existsSync(join(old, '.pvr'))) return false;
  for (const name of readdirSync(old)) {
    const place = join(trails, decodeURIComponent(name));
    if (!existsSync(place)) renameSync(join(old, name), place);
  }
  settleFolder(trails);
  return true;
}

export const isStale = (mtimeMs: number): boolean => Date.now() - mtimeMs > STALE_MS;

/** Empty where there is no /proc, as an image may be made. */
function namespace(): string {
  const boot = readIfThere('/proc/sys/kernel/random/boot_id').trim();
  return boot === '' ? '' : `${boot} ${readlinkSync('/proc/self/ns/pid')}\n`;
}

const readIfThere = (path: string): string => (existsSync(path) ? readFileSync(path, 'utf8') : '');
