// Folders that services own, on a disk on which files are damaged: what is whole is theirs, and the rest is told.
import { reexecInNamespaces } from '../kit/namespaced.ts';

reexecInNamespaces(import.meta.filename);

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, closeSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { ALL_CONTRACTS } from '../../services/supervisor/contracts.ts';
import { prepareFolders } from '../../services/supervisor/folders.ts';
import { lockStorage, lockTree } from '../../services/supervisor/tree-lock.ts';
import { resolveUid } from '../../shared/service/users.ts';
import { CANNOT_DAMAGE, makeDamagedDisk, mountArguments } from '../kit/damaged-disk.ts';
import { unmount } from '../kit/unmount.ts';

describe('supervisor.folders on a damaged disk', { skip: CANNOT_DAMAGE }, () => {
  let folder = '';
  let storage = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-damaged-'));
    storage = join(folder, 'storage');
    mkdirSync(storage);
    chmodSync(folder, 0o755);
  });
  afterEach(async () => {
    await unmount(storage);
    rmSync(folder, { recursive: true, force: true });
  });

  const mountWith = (files: readonly string[], damaged: readonly string[]): void => {
    for (const file of files) {
      mkdirSync(dirname(join(folder, 'packed', file)), { recursive: true });
      writeFileSync(join(folder, 'packed', file), '');
    }
    makeDamagedDisk(join(folder, 'image'), join(folder, 'packed'), damaged);
    execFileSync('mount', mountArguments(join(folder, 'image'), storage));
  };
  const prepare = () =>
    prepareFolders(ALL_CONTRACTS, ({ privileges }) => resolveUid(privileges.user), {
      rundir: join(folder, 'run'),
      storage,
      program: '/',
    });
  const ownerOf = (path: string): number => statSync(join(storage, path)).uid;

  it('gives what is beside the damage, and tells what could not be given', () => {
    mountWith(
      [
        'logs/0/web/lxc/console.log',
        'logs/0/web/lxc/lxc.log',
        'trails/0/.pvr/json',
        'trails/1/.pvr/json',
        'objects/incoming/x',
      ],
      ['logs/0/web/lxc/console.log', 'trails/0', 'objects/incoming'],
    );
    const left = prepare();
    assert.equal(ownerOf('logs/0/web/lxc/lxc.log'), resolveUid('berth-log'));
    assert.equal(ownerOf('trails/1/.pvr/json'), resolveUid('berth-state'));
    assert.deepEqual(left.map((line) => /storage\/(\S+) /.exec(line)?.[1]).sort(), [
      'logs/0/web/lxc/console.log',
      'objects/incoming',
      'trails/0',
    ]);
    for (const line of left) assert.match(line, /-74|EBADMSG/);
  });

  it('tells a few of many', () => {
    const many = Array.from({ length: 30 }, (_, at) => `logs/${at}`);
    mountWith(many, many);
    const left = prepare();
    assert.ok(left.length < many.length);
    assert.match(left.at(-1) ?? '', /and \d+ more/);
  });

  it('cannot do without a folder that a service owns', () => {
    mountWith(['logs/0/a', 'trails/0/b'], ['trails']);
    assert.throws(prepare, /storage cannot be prepared \(.*(-74|EBADMSG).*trails/);
  });

  it('is had by a tree also where the note of the rundir before is damaged', async () => {
    mountWith(
      ['supervisor/rundir.json', 'supervisor/reboots.json'],
      ['supervisor/rundir.json', 'supervisor/reboots.json'],
    );
    const lock = await lockTree({ rundir: join(folder, 'run'), storage }, 0);
    for (const fd of lock.fds) closeSync(fd);
    assert.equal(prepare().length, 2);
  });

  it('is had by one tree at a time where its lock is damaged', async () => {
    mountWith(['supervisor/lock'], ['supervisor/lock']);
    const first = await lockStorage(storage, 0);
    await assert.rejects(lockStorage(storage, 0), /is in use by another Berth/);
    closeSync(first);
    closeSync(await lockStorage(storage, 0));
  });
});
