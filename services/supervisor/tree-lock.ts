// One tree per rundir and per storage: locks that the supervisor takes and every service inherits, so that they are free only when
// the last process of the previous tree is gone, however that one ended. Both files are for root alone: whoever can open a file, if only
// to read it, can hold its lock for good.
//   <rundir>/lock
//   <storage>/supervisor/lock   empty; made by who holds the lock of <storage> itself, which stands for it where it can be neither made nor read
import { closeSync, constants, existsSync, mkdirSync, openSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { KernelError } from '../../shared/kernel/libc.ts';
import { tryLock } from '../../shared/kernel/lock.ts';
import { makeFolders } from '../../shared/kernel/make-folders.ts';
import { errorCode, isDamaged, reasonOf } from '../../shared/kernel/system-error.ts';
import { hasMountsBelow, leftRunning, noteRundir } from './rundir-note.ts';
import type { Places } from './spawn-arguments.ts';

/** How long the processes of a tree that was killed may take to be gone. */
export const PREDECESSOR_MS = 5_000;
const RETRY_MS = 10;
const LOCK_MODE = 0o600;
/** Nothing can be made there: no room, or nothing may be written. Then the folder stands for it, as long as it is held. */
const UNWRITABLE = new Set(['EDQUOT', 'ENOSPC', 'EROFS']);

export interface TreeLock {
  /** Hold it for as long as any process has them open. */
  readonly fds: readonly [rundir: number, storage: number];
  /** No tree had this rundir before, and nothing of one is there, so none has left anything that runs. */
  readonly isFirst: boolean;
}

/**
 * Rejects when another tree still lives on one of both after `patienceMs`, when that cannot be found out, and when containers of the storage
 * were left running in another rundir.
 */
export async function lockTree(
  { rundir, storage }: Pick<Places, 'rundir' | 'storage'>,
  patienceMs: number,
): Promise<TreeLock> {
  const path = join(rundir, 'lock');
  const until = performance.now() + patienceMs;
  const { fd: rundirFd, isFirst } = await telling(path, async () => {
    mkdirSync(rundir, { recursive: true, mode: 0o755 });
    const isNew = !existsSync(path) && !hasMountsBelow(rundir);
    const fd = openSync(path, 'w', LOCK_MODE);
    if (await isLocked(fd, until)) return { fd, isFirst: isNew };
    throw new InUse(`${path} is held: another supervisor runs on ${rundir}; stop it, or give --rundir another folder`);
  });
  const fds = [rundirFd];
  try {
    const storageFd = await lockStorage(storage, until - performance.now());
    fds.push(storageFd);
    refuseLeftRunning(storage, rundir);
    note(storage, rundir);
    return { fds: [rundirFd, storageFd], isFirst };
  } catch (error) {
    for (const fd of fds) closeSync(fd);
    throw error;
  }
}

/** Throws when containers of the storage were left running, but not in `rundir`: without one, in any. */
export function refuseLeftRunning(storage: string, rundir?: string): void {
  const left = leftRunning(storage);
  if (left === undefined || left === rundir) return;
  throw new InUse(
    `containers of ${storage} were left running in ${left}: start with --rundir '${left}' and end that with Ctrl-C (SIGINT), ` +
      'or restart the machine',
  );
}

function note(storage: string, rundir: string): void {
  try {
    noteRundir(storage, rundir);
  } catch {
    // Full, read-only, or damaged right there: better a storage of which nobody knows where its containers are than none.
  }
}

/** Answers a descriptor that holds it. Rejects as `lockTree`. */
export async function lockStorage(storage: string, patienceMs: number): Promise<number> {
  const path = join(storage, 'supervisor/lock');
  const until = performance.now() + patienceMs;
  const lock = async (fd: number): Promise<number> => {
    if (await isLocked(fd, until)) return fd;
    throw new InUse(`${storage} is in use by another Berth; stop it, or name a copy`);
  };
  return await telling(path, async () => {
    const there = openLock(path);
    if (there !== undefined) return await lock(there);
    // Nobody makes the file while somebody who could not has the folder instead.
    const folder = await lock(openSync(storage, constants.O_RDONLY | constants.O_DIRECTORY)).catch(unlockable);
    if (folder === undefined) return await lock(makeLock(path));
    try {
      const made = await lock(openLock(path) ?? makeLock(path));
      closeSync(folder);
      return made;
    } catch (error) {
      // Better a storage that others can keep from starting than two trees on one.
      if (UNWRITABLE.has(errorCode(error)) || isDamaged(error)) return folder;
      closeSync(folder);
      throw error;
    }
  });
}

/**
 * The file is the same one in every sandbox and behind every mount. Undefined: there is none; or the disk does not give it, so that nobody
 * holds it, as what is open is in memory.
 */
function openLock(path: string): number | undefined {
  try {
    // To be written, as NFS locks nothing else exclusively.
    return openSync(path, constants.O_RDWR | constants.O_NOFOLLOW);
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || isDamaged(error)) return undefined;
    if (errorCode(error) === 'EROFS') return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    throw error;
  }
}

function makeLock(path: string): number {
  makeFolders(dirname(path), 0o755);
  return openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, LOCK_MODE);
}

/** Undefined: NFS locks no folder, for anybody (EBADF, flock(2)). */
function unlockable(error: unknown): undefined {
  if (!(error instanceof KernelError) || error.errno !== 'EBADF') throw error;
}

class InUse extends Error {}

/** What the system refuses (EACCES, EMFILE, ENOLCK, …) is no reason to go on without. */
async function telling<T>(path: string, take: () => Promise<T>): Promise<T> {
  try {
    return await take();
  } catch (error) {
    if (error instanceof InUse) throw error;
    const reason = reasonOf(error);
    throw new Error(`${path} cannot be locked, so nobody knows whether another Berth runs there: ${reason}`);
  }
}

/** False when somebody else had it until then: the descriptor is closed, as it is when this rejects. */
async function isLocked(fd: number, untilMs: number): Promise<boolean> {
  try {
    while (!tryLock(fd)) {
      if (performance.now() > untilMs) {
        closeSync(fd);
        return false;
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
    return true;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}
