// Who may have a rundir and a storage: one tree at a time, whatever ways lead there.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { lockStorage, lockTree, type TreeLock } from '../../services/supervisor/tree-lock.ts';

describe('supervisor.treeLock', () => {
  let folder = '';
  let held: TreeLock[] = [];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-lock-'));
    mkdirSync(join(folder, 'storage'));
    held = [];
  });
  afterEach(() => {
    for (const lock of held) give(lock);
    rmSync(folder, { recursive: true, force: true });
  });

  const take = async (rundir: string, storage: string): Promise<TreeLock> => {
    const lock = await lockTree({ rundir: join(folder, rundir), storage: join(folder, storage) }, 0);
    held.push(lock);
    return lock;
  };
  const give = (lock: TreeLock): void => {
    held = held.filter((each) => each !== lock);
    for (const fd of lock.fds) closeSync(fd);
  };

  it('refuses a second tree on a rundir, and leaves the storage that it named alone', async () => {
    await take('run', 'storage');
    mkdirSync(join(folder, 'copy'));
    await assert.rejects(take('run', 'copy'), /another supervisor runs on .*\/run; stop it, or give --rundir/);
    await take('other', 'copy');
  });

  it('refuses a second tree on a storage, and leaves the rundir that it named alone', async () => {
    const first = await take('run', 'storage');
    await assert.rejects(take('other', 'storage'), {
      message: `${folder}/storage is in use by another Berth; stop it, or name a copy`,
    });
    give(first);
    await take('other', 'storage');
  });

  it('is held for as long as a process that inherited it lives, and not a moment longer', async () => {
    const lock = await take('run', 'storage');
    const service: ChildProcess = spawn('sleep', ['60'], { stdio: ['ignore', 'ignore', 'ignore', ...lock.fds] });
    await once(service, 'spawn');
    give(lock);
    await assert.rejects(take('other', 'storage'), /in use by another Berth/);
    const next = lockTree({ rundir: join(folder, 'other'), storage: join(folder, 'storage') }, 60_000);
    service.kill('SIGKILL');
    held.push(await next);
  });

  it('is the same lock behind a mount where nothing can be written', async () => {
    await take('run', 'storage');
    const program = `
      const { lockStorage } = await import(${JSON.stringify(join(import.meta.dirname, '../../services/supervisor/tree-lock.ts'))});
      await lockStorage(process.argv[1], 0);`;
    const script = 'mount --bind -o ro "$1" "$2" && shift && shift && exec "$@"';
    mkdirSync(join(folder, 'mounted'));
    const mounted = join(folder, 'mounted');
    const node = [process.execPath, '--import', 'tsx', '--input-type=module', '--eval', program, mounted];
    const run = () =>
      spawnSync(
        'unshare',
        ['--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', join(folder, 'storage'), mounted, ...node],
        { encoding: 'utf8' },
      );
    assert.match(run().stderr, /mounted is in use by another Berth/);
    for (const lock of [...held]) give(lock);
    assert.equal(run().status, 0);
  });

  it('has nothing open when there is no storage', async () => {
    await assert.rejects(lockStorage(join(folder, 'nowhere'), 0), { code: 'ENOENT' });
    await assert.rejects(take('run', 'nowhere'), { code: 'ENOENT' });
    await take('run', 'storage');
  });
});
