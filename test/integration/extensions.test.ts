// An extension of a container (`pvr app add --base`) through the whole tree: over the volume of another one, by itself, and never older than it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ask, containerRows, get } from '../kit/api.ts';
import { eventually } from '../kit/eventually.ts';
import { changeState, type JsonObject, objectAt } from '../kit/packed-state.ts';
import { command, installRevision, progressReaches, putRevision, STAYS, writeSource } from '../kit/step.ts';
import { attached, openTree, PATIENCE_MS, packExample, type Tree } from '../kit/tree.ts';

const QUICK = ['--set', 'PV_UPDATER_COMMIT_DELAY=1', '--set', 'PV_UPDATER_GOALS_TIMEOUT=20'];
const CONTAINERS = { other: {}, skill: {}, voice: {} };

const configOf = (base: string): string =>
  [
    `lxc.rootfs.path = overlayfs:/volumes/skill/root.ovl.squashfs:/volumes/${base}/root.squashfs:/volumes/skill/lxc-overlay/upper`,
    'lxc.namespace.keep = user net ipc',
    'lxc.init.cmd = /init',
    'lxc.mount.auto = proc sys:rw cgroup',
    'lxc.signal.halt = SIGTERM',
    '',
  ].join('\n');

function overlay(): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'berth-extension-'));
  mkdirSync(join(folder, 'root/etc'), { recursive: true });
  writeFileSync(join(folder, 'root/etc/skill'), 'of the extension\n');
  const file = join(folder, 'root.ovl.squashfs');
  spawnSync('mksquashfs', [join(folder, 'root'), file, '-quiet', '-no-progress', '-all-root']);
  const content = readFileSync(file);
  rmSync(folder, { recursive: true });
  return content;
}

function addObject(storage: string, content: Buffer | string): string {
  const digest = createHash('sha256').update(content).digest('hex');
  writeFileSync(join(storage, 'objects', digest), content);
  return digest;
}

describe('integration.extensions', () => {
  let folder: string;
  let tree: Tree;
  let skill: JsonObject;
  /** Its configuration, on a base that no revision has. */
  let orphaned: string;
  let atFirst: readonly string[];
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-extensions-'));
    const storage = packExample(writeSource(join(folder, 'source'), CONTAINERS));
    changeState(storage, (state) => {
      const { 'skill/root.squashfs': _, ...rest } = state;
      const run = { ...objectAt(state, 'skill/run.json'), 'root-volume': 'root.ovl.squashfs' };
      skill = {
        'skill/run.json': run,
        'skill/root.ovl.squashfs': addObject(storage, overlay()),
        'skill/lxc.container.conf': addObject(storage, configOf('voice')),
      };
      for (const key of Object.keys(state)) delete state[key];
      Object.assign(state, rest, skill);
    });
    orphaned = addObject(storage, configOf('elsewhere'));
    tree = await openTree(storage);
    tree.start(QUICK);
    await tree.up();
    atFirst = counts();
  });
  after(async () => {
    await tree?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const inside = (container: string, script: string): string => {
    const { status, stdout, stderr } = tree.inside(attached(tree, container, ['/bin/busybox', 'sh', '-c', script]));
    assert.equal(status, 0, `${script}: ${stderr}`);
    return stdout;
  };
  const mountsOf = (container: string): string =>
    tree.inside(['sh', '-c', `grep -c ' ${tree.rundir}/lxc/${container}/' /proc/self/mounts`]).stdout.trim();
  const counts = () => Object.keys(CONTAINERS).map(mountsOf);
  const pids = async () =>
    Object.fromEntries((await get(tree.socket, '/containers', containerRows)).map(({ name, pid }) => [name, pid]));
  const act = async (container: string, action: 'stop' | 'start', status: string) => {
    assert.equal((await ask(tree.socket, 'PUT', `/containers/${container}`, { action })).status, 200);
    await eventually(`${container} ${status}`, PATIENCE_MS, async () => {
      const rows = await get(tree.socket, '/containers', containerRows);
      return rows.find(({ name }) => name === container)?.status === status;
    });
  };
  /** The source packed as it is, but for the extension. */
  const withSkill =
    (config = skill['skill/lxc.container.conf']) =>
    (state: JsonObject) => {
      const { 'skill/root.squashfs': _, ...rest } = state;
      return { ...rest, ...skill, 'skill/lxc.container.conf': config };
    };

  it('shows it the files of both, and leaves its base what that was', () => {
    assert.equal(inside('skill', 'cat /etc/skill; ls /init'), 'of the extension\n/init\n');
    assert.equal(inside('voice', '[ -e /etc/skill ] || echo none'), 'none\n');
  });

  it('runs on while its base is stopped, and starts without it', async () => {
    const before = await pids();
    await act('voice', 'stop', 'STOPPED');
    await eventually('nothing of the base is mounted', PATIENCE_MS, () => mountsOf('voice') === '0');
    assert.equal(inside('skill', 'cat /etc/skill; busybox head -n 1 /init'), 'of the extension\n#!/bin/sh\n');
    assert.equal((await pids()).skill, before.skill);
    await act('skill', 'stop', 'STOPPED');
    await eventually('nor of the extension', PATIENCE_MS, () => mountsOf('skill') === '0');
    for (const container of ['skill', 'voice']) await act(container, 'start', 'STARTED');
    await eventually('counts as at first', PATIENCE_MS, () => `${counts()}` === `${atFirst}`);
  });

  it('is restarted with its base by an update of that', async () => {
    const before = await pids();
    writeSource(join(folder, 'source'), { ...CONTAINERS, voice: { init: `# another one\n${STAYS}` } });
    await installRevision(tree.socket, join(folder, 'source'), 'next', withSkill());
    await command(tree.socket, 'LOCAL_RUN', 'locals/next');
    await progressReaches(tree.socket, 'locals/next', 'UPDATED');
    const now = await pids();
    assert.equal(now.other, before.other);
    assert.notEqual(now.voice, before.voice);
    assert.notEqual(now.skill, before.skill);
    for (const container of ['skill', 'voice']) {
      assert.equal(inside(container, 'busybox sed -n 2p /init'), '# another one\n', container);
    }
    await eventually('counts as at first', PATIENCE_MS, () => `${counts()}` === `${atFirst}`);
  });

  it('is refused without its base', async () => {
    const { status, body } = await putRevision(tree.socket, join(folder, 'source'), 'alone', withSkill(orphaned));
    assert.deepEqual([status, body], [422, JSON.stringify({ Error: 'State verification has failed' })]);
  });

  it('is taken over when the supervisor was killed, and leaves nothing at the end', async () => {
    const before = await pids();
    await tree.killSupervisor();
    tree.start(QUICK);
    await tree.up();
    assert.deepEqual(await pids(), before);
    assert.equal(await tree.endSupervisor('SIGINT'), 0);
    assert.deepEqual(
      ['skill', 'voice']
        .map(mountsOf)
        .concat(tree.inside(['ls', `${tree.rundir}/lxc/skill`]).stdout.match(/bases/) ?? []),
      ['0', '0'],
    );
    await eventually('no loop device is left', PATIENCE_MS, () => tree.loopDevices().length === 0);
  });
});
