// An operator stops a service and starts it again: containers do not notice, and the end of the tree still takes all down.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { ask, containerRows, get, serviceRows } from '../kit/api.ts';
import { eventually } from '../kit/eventually.ts';
import { openTree, PATIENCE_MS, packExample, type Tree } from '../kit/tree.ts';

describe('integration.daemons', () => {
  let tree: Tree;
  before(async () => {
    tree = await openTree(packExample('01-basic'));
    tree.start();
    await tree.up();
  });
  after(() => tree.close());

  const act = async (name: string, action: string) => {
    const answer = await ask(tree.socket, 'PUT', `/daemons/${name}`, { action });
    assert.deepEqual(answer, { status: 200, body: '' });
  };
  const service = async (name: string) => {
    const found = (await get(tree.socket, '/services', serviceRows)).find((row) => row.name === name);
    assert.ok(found);
    return found;
  };

  it('keeps a stopped service down and its containers running until it is started', async () => {
    const pids = (await get(tree.socket, '/containers', containerRows)).map(({ pid }) => pid);
    await act('net-svc', 'stop');
    await eventually('net-svc is down', PATIENCE_MS, async () => (await service('net-svc')).pid === 0);
    assert.equal((await service('net-svc')).state, 'stopped');
    await act('net-svc', 'start');
    await eventually('net-svc is up', PATIENCE_MS, async () => (await service('net-svc')).state === 'ready');
    assert.deepEqual(
      (await tree.up()).map(({ pid }) => pid),
      pids,
    );
  });

  it('starts what was stopped when containers are to be stopped', async () => {
    await act('state-svc', 'stop');
    await eventually('state-svc is down', PATIENCE_MS, async () => (await service('state-svc')).pid === 0);
    assert.equal(await tree.endSupervisor('SIGINT'), 0);
    await eventually('no loop device is left', PATIENCE_MS, () => tree.loopDevices().length === 0);
  });
});
