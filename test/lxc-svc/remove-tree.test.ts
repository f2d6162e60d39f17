import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { queryObjects } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { removeTree } from '../../services/lxc-svc/remove-tree.ts';
import { MS_RDONLY, MS_REMOUNT, mount, unmount } from '../../shared/kernel/mount.ts';
import { PATIENCE_MS } from '../kit/eventually.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';

reexecInNamespaces(import.meta.filename);

/** Swaps a folder and a link to another one while `turn[0]` is 1; `turn[1]` is 1 when it has stopped. */
const SWAP = `
const { workerData: { folder, turn } } = require('node:worker_threads');
const { renameSync } = require('node:fs');
const move = (from, to) => { try { renameSync(folder + from, folder + to); } catch {} };
for (;;) {
  if (Atomics.load(turn, 0) === 0) {
    Atomics.store(turn, 1, 1);
    Atomics.notify(turn, 1);
    // A whole turn may have passed before it waits.
    Atomics.wait(turn, 0, 0, 1);
    continue;
  }
  move('/tree/a/x', '/tree/a/y');
  move('/link', '/tree/a/x');
  move('/tree/a/x', '/link');
  move('/tree/a/y', '/tree/a/x');
}`;
/** Of so many, a removal by paths loses the host's files in about ten. */
const ROUNDS = 200;
const NAMES = Array.from({ length: 20 }, (_, index) => `file${index}`);

let folder: string;
before(() => {
  // No disk, which would be slower than the swaps.
  folder = mkdtempSync('/dev/shm/berth-remove-');
});
after(() => rmSync(folder, { recursive: true }));

function writeAll(path: string): void {
  mkdirSync(path, { recursive: true });
  for (const name of NAMES) writeFileSync(join(path, name), '');
}

describe('lxc-svc.removeTree', () => {
  it('removes files, folders, links and names of any bytes, and nothing that a link leads to', async () => {
    const [path, host] = [join(folder, 'all'), join(folder, 'all-host')];
    for (const each of [join(path, 'a/b'), join(path, 'c'), host]) writeAll(each);
    symlinkSync(host, join(path, 'link'));
    writeFileSync(Buffer.concat([Buffer.from(`${path}/a/`), Buffer.from([0xff, 0xfe])]), '');
    await removeTree(path);
    assert.equal(existsSync(path), false);
    symlinkSync(host, path);
    await removeTree(path);
    assert.deepEqual(readdirSync(host).sort(), [...NAMES].sort());
  });

  it('removes nothing of the host while what it removes is made a link to it', async () => {
    const turn = new Int32Array(new SharedArrayBuffer(8));
    const worker = new Worker(SWAP, { eval: true, workerData: { folder, turn } });
    const host = join(folder, 'host');
    try {
      for (let round = 0; round < ROUNDS; round += 1) {
        assert.notEqual(Atomics.wait(turn, 1, 0, PATIENCE_MS), 'timed-out');
        rmSync(join(folder, 'tree'), { recursive: true, force: true });
        rmSync(join(folder, 'link'), { recursive: true, force: true });
        writeAll(host);
        writeAll(join(folder, 'tree/a/x'));
        symlinkSync(host, join(folder, 'link'));
        Atomics.store(turn, 1, 0);
        Atomics.store(turn, 0, 1);
        Atomics.notify(turn, 0);
        // It may find that what it has just seen is gone.
        await removeTree(join(folder, 'tree')).catch(() => undefined);
        Atomics.store(turn, 0, 0);
        assert.equal(readdirSync(host).length, NAMES.length, `round ${round}`);
      }
    } finally {
      await worker.terminate();
    }
  });

  it('removes folders however deep, and leaves no descriptor open', async () => {
    const path = join(folder, 'deep');
    // Deeper than any path can name.
    for (let part = 0; part < 20; part += 1) {
      mkdirSync(join(folder, 'deeper/d', 'd/'.repeat(150)), { recursive: true });
      if (part > 0) renameSync(path, join(folder, 'deeper/d', 'd/'.repeat(150), 'below'));
      renameSync(join(folder, 'deeper'), path);
    }
    const open = readdirSync('/proc/self/fd').length;
    await removeTree(path);
    assert.equal(existsSync(path), false);
    assert.equal(readdirSync('/proc/self/fd').length, open);
  });

  it('removes what is beside a thing that cannot be removed, and says what that is', async () => {
    const path = join(folder, 'stuck');
    for (const each of ['a', 'b/mounted', 'c']) writeAll(join(path, each));
    mount('test', join(path, 'b/mounted'), 'tmpfs', 0);
    try {
      await assert.rejects(removeTree(path), /EBUSY/);
      assert.deepEqual(readdirSync(path, { recursive: true }).sort(), ['b', 'b/mounted']);
    } finally {
      unmount(join(path, 'b/mounted'));
    }
    await removeTree(path);
    assert.equal(existsSync(path), false);
  });

  it('keeps one error of all the files that it cannot remove', async () => {
    const path = join(folder, 'read-only');
    mkdirSync(join(path, 'mounted'), { recursive: true });
    mount('test', join(path, 'mounted'), 'tmpfs', 0);
    try {
      for (let file = 0; file < 500; file += 1) writeFileSync(join(path, `mounted/${file}`), '');
      mount('test', join(path, 'mounted'), 'tmpfs', MS_REMOUNT | MS_RDONLY);
      const before = queryObjects(Error, { format: 'count' });
      let [isDone, most] = [false, 0];
      const removed = assert.rejects(removeTree(path), /EROFS/).finally(() => {
        isDone = true;
      });
      // A look is a collection of garbage, and dear: in a turn one file at most is tried.
      for (let turn = 0; !isDone; turn += 1) {
        await nextTurn();
        if (turn % 1_000 !== 0) continue;
        most = Math.max(most, queryObjects(Error, { format: 'count' }) - before);
      }
      await removed;
      assert.ok(most < 100, `${most} errors`);
    } finally {
      unmount(join(path, 'mounted'));
    }
  });

  it('takes what another removal has removed meanwhile as done', async () => {
    const path = join(folder, 'both');
    for (let each = 0; each < 20; each += 1) writeAll(join(path, `${each}/below`));
    await Promise.all([removeTree(path), removeTree(path), removeTree(path)]);
    assert.equal(existsSync(path), false);
    await removeTree(path);
  });
});
