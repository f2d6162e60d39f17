// One tree per rundir and per storage: locks that the supervisor takes and every service inherits, so that they are free only when
// the last process of the previous tree is gone, however that one ended.
import { closeSync, constants, existsSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { tryLock } from '../../shared/kernel/lock.ts';
import type { Places } from './spawn-arguments.ts';

/** How long the processes of a tree that was killed may take to be gone. */
export const PREDECESSOR_MS = 5_000;
const RETRY_MS = 10;

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
  const rundirFd = openSync(path, 'w', 0o600);
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

/**
 * Answers a descriptor that holds it. Of the folder itself: that is the same one in every sandbox and behind every mount, and can be
 * locked where nothing can be written. Rejects as `lockTree`.
 */
export async function lockStorage(storage: string, patienceMs: number): Promise<number> {
  const fd = openSync(storage, constants.O_RDONLY | constants.O_DIRECTORY);
  if (await isLocked(fd, performance.now() + patienceMs)) return fd;
  throw new Error(`${storage} is in use by another Berth; stop it, or name a copy`);
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
