// One tree per rundir: a lock that the supervisor takes and every service inherits, so that it is free only when the last
// process of the previous tree is gone, however that one ended.
import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { tryLock } from '../../shared/kernel/lock.ts';

const RETRY_MS = 10;

export interface TreeLock {
  /** Holds it for as long as any process has it open. */
  readonly fd: number;
  /** No tree had this rundir before, so none has left anything that runs. */
  readonly isFirst: boolean;
}

/** Rejects when another tree still lives after `patienceMs`. */
export async function lockTree(rundir: string, patienceMs: number): Promise<TreeLock> {
  mkdirSync(rundir, { recursive: true, mode: 0o755 });
  const path = join(rundir, 'lock');
  const isFirst = !existsSync(path);
  const fd = openSync(path, 'w', 0o600);
  const until = performance.now() + patienceMs;
  while (!tryLock(fd)) {
    if (performance.now() > until) {
      closeSync(fd);
      throw new Error(
        `${path} is held: another supervisor runs on ${rundir}; stop it, or give --rundir another folder`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
  return { fd, isFirst };
}
