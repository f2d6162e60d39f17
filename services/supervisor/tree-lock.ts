// One tree per rundir and per storage: locks that the supervisor takes and every service inherits, so that they are free only when
// the last process of the previous tree is gone, however that one ended. Both files are for root alone: whoever can open a file, if only
// to read it, can hold its lock for good.
//   <rundir>/lock
//   <storage>/supervisor/lock   empty
import { closeSync, constants, existsSync, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { tryLock } from '../../shared/kernel/lock.ts';
import { makeFolders } from '../../shared/kernel/make-folders.ts';
import type { Places } from './spawn-arguments.ts';

/** How long the processes of a tree that was killed may take to be gone. */
export const PREDECESSOR_MS = 5_000;
const RETRY_MS = 10;
const LOCK_MODE = 0o600;
/** Nothing can be made there: no room, or nothing may be written. */
const UNWRITABLE = new Set(['EDQUOT', 'ENOSPC', 'EROFS']);

export interface TreeLock {
  /** Hold it for as long as any process has them open. */
  readonly fds: readonly [rundir: number, storage: number];
  /** No tree had this rundir before, so none has left anything that runs. */
  readonly isFirst: boolean;
}

/** Rejects when another tree still lives on one of both after `patienceMs`. */
export async function lockTree(
  { rundir, storage }: Pick<Places, 'rundir' | 'storage'>,
  patienceMs: number,
): Promise<TreeLock> {
  mkdirSync(rundir, { recursive: true, mode: 0o755 });
  const path = join(rundir, 'lock');
  const isFirst = !existsSync(path);
  const until = performance.now() + patienceMs;
  const rundirFd = openSync(path, 'w', LOCK_MODE);
  if (!(await isLocked(rundirFd, until))) {
    throw new Error(`${path} is held: another supervisor runs on ${rundir}; stop it, or give --rundir another folder`);
  }
  try {
    return { fds: [rundirFd, await lockStorage(storage, until - performance.now())], isFirst };
  } catch (error) {
    closeSync(rundirFd);
    throw error;
  }
}

/** Answers a descriptor that holds it. Rejects as `lockTree`. */
export async function lockStorage(storage: string, patienceMs: number): Promise<number> {
  const fd = openStorageLock(storage);
  if (await isLocked(fd, performance.now() + patienceMs)) return fd;
  throw new Error(`${storage} is in use by another Berth; stop it, or name a copy`);
}

/**
 * Of a file, which is the same one in every sandbox and behind every mount. Where it is not there and cannot be made, the folder itself
 * stands for it: better a storage that others can keep from starting than two trees on one.
 */
function openStorageLock(storage: string): number {
  const path = join(storage, 'supervisor/lock');
  statSync(storage);
  try {
    makeFolders(dirname(path), 0o755);
    // To be written, as NFS locks nothing else exclusively.
    return openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, LOCK_MODE);
  } catch (error) {
    if (!UNWRITABLE.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
    return openSync(existsSync(path) ? path : storage, constants.O_RDONLY);
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
