// Who may have a rundir and a storage: one tree at a time, whatever ways lead there.
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { leftRunning } from '../../services/supervisor/rundir-note.ts';
import { lockStorage, lockTree, type TreeLock } from '../../services/supervisor/tree-lock.ts';
import { tryLock } from '../../shared/kernel/lock.ts';
import { bundled } from '../kit/bundled.ts';

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

  const PROGRAM = `
    const { lockStorage } = await import(${JSON.stringify(join(import.meta.dirname, '../../services/supervisor/tree-lock.ts'))});
    await lockStorage(process.argv[1], 0);`;
  /** Of another process, to which the storage is somewhere else and cannot be written. */
  const lockReadOnly = () => {
    const script = 'mount --bind -o ro "$1" "$2" && shift && shift && exec "$@"';
    const mounted = join(folder, 'mounted');
    mkdirSync(mounted, { recursive: true });
    const node = [process.execPath, '--import', 'tsx', '--input-type=module', '--eval', PROGRAM, mounted];
    return spawnSync(
      'unshare',
      ['--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', join(folder, 'storage'), mounted, ...node],
      { encoding: 'utf8' },
    );
  };

  it('is the same lock behind a mount where nothing can be written', async () => {
    await take('run', 'storage');
    assert.match(lockReadOnly().stderr, /mounted is in use by another Berth/);
    for (const lock of [...held]) give(lock);
    assert.equal(lockReadOnly().status, 0);
  });

  it('is of the folder where nothing can be written and no tree has been', async () => {
    const fd = openSync(join(folder, 'storage'), constants.O_RDONLY);
    assert.equal(tryLock(fd), true);
    assert.match(lockReadOnly().stderr, /mounted is in use by another Berth/);
    closeSync(fd);
    assert.equal(lockReadOnly().status, 0);
    assert.deepEqual(readdirSync(join(folder, 'storage')), []);
  });

  it('is not made by who may write while somebody who could not holds the folder', async () => {
    const storage = join(folder, 'storage');
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'nr_inodes=1', 'berth-lock-test', storage]);
    try {
      const first = await take('run', 'storage');
      execFileSync('mount', ['-o', 'remount,nr_inodes=100', storage]);
      await assert.rejects(take('other', 'storage'), /in use by another Berth/);
      assert.deepEqual(readdirSync(storage), []);
      give(first);
      give(await take('other', 'storage'));
      assert.deepEqual(readdirSync(storage), ['supervisor']);
    } finally {
      for (const lock of [...held]) give(lock);
      execFileSync('umount', [storage]);
    }
  });

  it('needs no lock of the folder, once there is a file', async () => {
    give(await take('run', 'storage'));
    const fd = openSync(join(folder, 'storage'), constants.O_RDONLY);
    assert.equal(tryLock(fd), true);
    await take('run', 'storage');
    closeSync(fd);
  });

  it('is told, and not gone without, where the system does not let it be had', async () => {
    const lock = join(folder, 'storage/supervisor/lock');
    const refused = async (reason: RegExp): Promise<void> => {
      await assert.rejects(take('run', 'storage'), ({ message }: Error) => {
        assert.ok(message.startsWith(`${lock} cannot be locked, so nobody knows whether another Berth runs there: `));
        assert.match(message, reason);
        return true;
      });
    };
    writeFileSync(join(folder, 'storage/supervisor'), '');
    await refused(/ENOTDIR: not a directory/);
    rmSync(join(folder, 'storage/supervisor'));
    mkdirSync(join(folder, 'storage/supervisor'));
    symlinkSync('/nowhere', lock);
    await refused(/ELOOP: too many symbolic links/);
    rmSync(lock);
    mkdirSync(lock);
    await refused(/EISDIR: illegal operation on a directory/);
    // It writes nowhere, and so no coverage either.
    const env = { ...process.env, NODE_V8_COVERAGE: undefined };
    const unprivileged = ['--reuid=65534', '--regid=65534', '--clear-groups'];
    chmodSync(folder, 0o755);
    rmSync(lock, { recursive: true });
    const program = await bundled('services/supervisor/tree-lock.ts');
    const script = `require(process.argv[1]).lockStorage(process.argv[2], 0);`;
    const node = [process.execPath, '--eval', script, program, join(folder, 'storage')];
    const { status, stderr } = spawnSync('setpriv', [...unprivileged, ...node], { encoding: 'utf8', env });
    assert.equal(status, 1);
    assert.match(stderr, /lock cannot be locked, .*: EACCES: permission denied, open/);
  });

  it('cannot be held by other users, who may read all of the storage', async () => {
    chmodSync(folder, 0o755);
    give(await take('run', 'storage'));
    // Each says whether it could, and holds what it got until its input ends.
    const holders = ['', 'supervisor', 'supervisor/lock'].map((name) => {
      const command = ['flock', '--exclusive', join(folder, 'storage', name), 'sh', '-c', 'echo held; cat'];
      return spawn('setpriv', ['--reuid=65534', '--regid=65534', '--clear-groups', ...command], {
        stdio: ['pipe', 'pipe', 'ignore'],
      });
    });
    try {
      const said = await Promise.all(
        holders.map(async ({ stdout }) => {
          await once(stdout, 'readable');
          return stdout.read()?.toString();
        }),
      );
      assert.deepEqual(said, ['held\n', 'held\n', undefined]);
      await take('other', 'storage');
    } finally {
      for (const { stdin } of holders) stdin.end();
      await Promise.all(holders.map((holder) => holder.exitCode ?? once(holder, 'exit')));
    }
  });

  describe('of a storage whose containers were left running', () => {
    const left = () => join(folder, 'run one/lxc');
    let first: TreeLock;
    beforeEach(async () => {
      first = await take('run one', 'storage');
      mkdirSync(left());
      execFileSync('mount', ['-t', 'tmpfs', 'berth-lock-test', left()]);
      give(first);
    });
    afterEach(() => {
      spawnSync('umount', [left()], { stdio: 'ignore' });
    });

    it('is refused to another rundir, which names theirs, and not to theirs', async () => {
      await assert.rejects(take('other', 'storage'), {
        message:
          `containers of ${folder}/storage were left running in ${folder}/run one: start with --rundir '${folder}/run one' and ` +
          'end that with Ctrl-C (SIGINT), or restart the machine',
      });
      give(await take('run one', 'storage'));
      assert.equal(leftRunning(join(folder, 'storage')), join(folder, 'run one'));
    });

    it('is had in another rundir once they are gone, and then no more of what was there before', async () => {
      execFileSync('umount', [left()]);
      assert.equal(leftRunning(join(folder, 'storage')), undefined);
      give(await take('other', 'storage'));
      execFileSync('mount', ['-t', 'tmpfs', 'berth-lock-test', left()]);
      give(await take('third', 'storage'));
    });

    it('is not taken for its copy', async () => {
      execFileSync('cp', ['-a', join(folder, 'storage'), join(folder, 'copy')]);
      await take('other', 'copy');
    });

    it('is not taken for what another boot left, nor held up by a damaged note', async () => {
      const note = join(folder, 'storage/supervisor/rundir.json');
      const written = JSON.parse(readFileSync(note, 'utf8'));
      for (const text of [JSON.stringify({ ...written, boot: 'another' }), '{"boot":', '']) {
        writeFileSync(note, text);
        give(await take('other', 'storage'));
      }
    });

    it('is not the first tree of its rundir, when somebody removed what could be removed there', async () => {
      rmSync(join(folder, 'run one/lock'));
      assert.equal((await take('run one', 'storage')).isFirst, false);
    });
  });

  it('is the first tree of a rundir once', async () => {
    const first = await take('run', 'storage');
    assert.equal(first.isFirst, true);
    give(first);
    assert.equal((await take('run', 'storage')).isFirst, false);
  });

  it('has nothing open when there is no storage', async () => {
    const message =
      /nowhere\/supervisor\/lock cannot be locked, .*: ENOENT: no such file or directory, open '.*nowhere'$/;
    await assert.rejects(lockStorage(join(folder, 'nowhere'), 0), { message });
    await assert.rejects(take('run', 'nowhere'), { message });
    await take('run', 'storage');
  });
});
