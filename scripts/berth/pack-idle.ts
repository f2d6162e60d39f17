// Whether nothing runs on a storage while a revision of it is replaced: containers of that one have its files mounted, and are started again from them.
import { closeSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { reasonOf } from '../../shared/kernel/system-error.ts';
import { PackFailure } from './pack-command.ts';

/** No Berth starts there meanwhile. Throws PackFailure where one runs, or has left containers running, and what `replace` throws. */
export async function whileIdle<T>(storage: string, replace: () => Promise<T>): Promise<T> {
  // Nobody has run on it; and root's lock is nothing that another who packs should make.
  if (!existsSync(join(storage, 'supervisor/lock'))) return await replace();
  const lock = await lockIdle(storage);
  try {
    return await replace();
  } finally {
    closeSync(lock);
  }
}

async function lockIdle(storage: string): Promise<number> {
  const { lockStorage, refuseLeftRunning } = await import('../../services/supervisor/tree-lock.ts');
  let lock: number | undefined;
  try {
    lock = await lockStorage(storage, 0);
    refuseLeftRunning(storage);
    return lock;
  } catch (error) {
    if (lock !== undefined) closeSync(lock);
    throw new PackFailure(
      `a revision is replaced only where nothing runs, and ${reasonOf(error)}; or take another --revision, ` +
        'or bring an archive to the device with pvcontrol steps install',
    );
  }
}
