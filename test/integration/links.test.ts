// A tree whose folders are all reached through links, as those in /var/run are on most machines: the kernel tells what is mounted without them.
import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import * as z from 'zod/mini';
import { STORAGE_INSIDE } from '../../scripts/sandbox/sandbox.ts';
import { ask, containerRows, get } from '../kit/api.ts';
import { eventually } from '../kit/eventually.ts';
import { changeState, objectAt } from '../kit/packed-state.ts';
import { openTree, PATIENCE_MS, packExample, type Tree } from '../kit/tree.ts';

describe('integration.links', () => {
  let tree: Tree;
  before(async () => {
    const storage = packExample('01-basic');
    changeState(storage, (state) => void Object.assign(objectAt(state, 'net-server/run.json'), { exports: ['etc'] }));
    tree = await openTree(storage);
    const { shared } = tree.sandbox;
    for (const folder of ['run', 'exports']) mkdirSync(join(shared, folder), { mode: 0o755 });
    const links = { 'to-run': 'run', 'to-exports': 'exports', 'to-storage': STORAGE_INSIDE };
    for (const [name, target] of Object.entries(links)) symlinkSync(target, join(shared, name));
    tree.start([
      '--rundir',
      join(shared, 'to-run'),
      '--storage',
      join(shared, 'to-storage'),
      '--set',
      `PV_DISK_EXPORTSDIR=${join(shared, 'to-exports')}`,
    ]);
    await tree.up();
  });
  after(() => tree.close());

  const mountsOfServer = (): readonly string[] => {
    const { stdout } = tree.inside(['cut', '-d', ' ', '-f', '5', '/proc/self/mountinfo']);
    return stdout.split('\n').filter((target) => /\/(lxc|exports)\/net-server(\/|$)/.test(target));
  };
  const act = async (action: 'stop' | 'start', status: string) => {
    assert.equal((await ask(tree.socket, 'PUT', '/containers/net-server', { action })).status, 200);
    await eventually(`net-server ${status}`, PATIENCE_MS, async () => {
      const rows = await get(tree.socket, '/containers', containerRows);
      return rows.find(({ name }) => name === 'net-server')?.status === status;
    });
  };

  it('unmounts a container that stops, with its exports, and starts it again', async () => {
    const running = mountsOfServer();
    assert.ok(running.includes(join(tree.sandbox.shared, 'exports/net-server/etc')), running.join(' '));
    await act('stop', 'STOPPED');
    await eventually('nothing of it is mounted', PATIENCE_MS, () => mountsOfServer().length === 0);
    await act('start', 'STARTED');
    assert.deepEqual(mountsOfServer(), running);
  });

  it('says where things are without links, and is reached through them', async () => {
    const socket = join(tree.sandbox.shared, 'to-run/pv-ctrl');
    const config = await get(socket, '/config', z.looseObject({ 'system.rundir': z.string(), 'log.dir': z.string() }));
    assert.deepEqual([config['system.rundir'], config['log.dir']], [tree.rundir, `${STORAGE_INSIDE}/logs`]);
  });
});
