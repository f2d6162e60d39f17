// The kernel is made ready to move processes between control groups before LXC does: on real groups, and by the real service.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, watch, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, describe, it } from 'node:test';
import { createCgroupMoves } from '../../services/lxc-svc/cgroup-moves.ts';
import { ownGroups } from '../../services/lxc-svc/cgroup-tree.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { makeContainer, mountOf, openRig, type Rig, startOf } from './rig.ts';

reexecInNamespaces(import.meta.filename);

const procs = (folder: string): string => join(folder, 'cgroup.procs');

describe('ownGroups', () => {
  it('are those that have this process among theirs', () => {
    const groups = ownGroups();
    assert.notEqual(groups.length, 0);
    for (const folder of groups) {
      assert.ok(readFileSync(procs(folder), 'utf8').split('\n').includes(String(process.pid)), folder);
    }
  });
});

describe('a move that is expected', () => {
  let folder = '';
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-groups-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  const fresh = (): void => writeFileSync(procs(folder), '');
  const written = (): string => readFileSync(procs(folder), 'utf8');

  it('takes this process to where it is', async () => {
    const groups = readFileSync('/proc/self/cgroup', 'utf8');
    await createCgroupMoves().expect();
    assert.equal(readFileSync('/proc/self/cgroup', 'utf8'), groups);
    fresh();
    await createCgroupMoves(() => [folder]).expect();
    assert.equal(written(), '0');
  });

  it('is made once for all that are expected at a time, and again later', async () => {
    let now = 1_000;
    const moves = createCgroupMoves(
      () => [folder],
      () => now,
    );
    fresh();
    await moves.expect();
    fresh();
    now += 4;
    await moves.expect();
    assert.equal(written(), '');
    now += 4;
    await moves.expect();
    assert.equal(written(), '0');
  });

  it('fails nobody where there are no groups, or none that can be written', async () => {
    await createCgroupMoves(() => []).expect();
    await createCgroupMoves(() => ['/nowhere']).expect();
  });
});

describe('lxc-svc', () => {
  let rig: Rig;
  /** Nobody but it is in there. */
  let group = '';
  before(async () => {
    rig = await openRig();
    await rig.spawn();
    const [own = ''] = ownGroups();
    group = join(own, `berth-moves.${process.pid}`);
    mkdirSync(group);
    writeFileSync(procs(group), String(rig.pid()));
  });
  after(async () => {
    await rig.close();
    rmdirSync(group);
  });

  it('expects moves when a container is mounted and when one is stopped', async () => {
    makeContainer('moved', 'obedient');
    let writes = 0;
    const watcher = watch(procs(group), () => {
      writes += 1;
    });
    try {
      rig.value(await rig.lxc.mount(mountOf('moved')));
      await eventually('a write after mount', PATIENCE_MS, () => writes > 0);
      rig.value(await rig.lxc.start(startOf('moved')));
      const before = writes;
      rig.value(await rig.lxc.stop({ container: 'moved', graceMs: 0 }));
      await eventually('a write after stop', PATIENCE_MS, () => writes > before);
    } finally {
      watcher.close();
      rig.value(await rig.lxc.unmount({ container: 'moved' }));
    }
  });
});
