// Whoever is killed while a container is being stopped: the stop goes on, and the container stays stopped.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { get, serviceRows } from '../kit/api.ts';
import { eventually } from '../kit/eventually.ts';
import { openTree, PATIENCE_MS, packExample, type Tree } from '../kit/tree.ts';
import { act, rowOf, says, untilStatus } from '../scenarios/look.ts';

describe('crash.stops', () => {
  let tree: Tree;
  before(async () => {
    tree = await openTree(packExample('14-deaf-stop'));
    tree.start();
    await tree.up();
  });
  after(() => tree.close());

  const kill = async (victim: string): Promise<void> => {
    if (victim === 'supervisor') {
      await tree.killSupervisor();
      tree.start();
      return;
    }
    const pid = (await get(tree.socket, '/services', serviceRows)).find(({ name }) => name === victim)?.pid;
    tree.inside(['kill', '-KILL', String(pid)]);
  };

  for (const victim of ['state-svc', 'lxc-svc', 'ctl-svc', 'supervisor']) {
    it(`finishes the stop of a deaf container when ${victim} is killed in the middle of it`, async () => {
      await says(tree, 'deaf', /deaf runs/);
      const neighbour = await rowOf(tree, 'neighbour');
      await act(tree, 'deaf', 'stop');
      assert.equal((await rowOf(tree, 'deaf')).status, 'STOPPING');
      await kill(victim);
      const { user_stopped, pid } = await untilStatus(tree, 'deaf', 'STOPPED');
      assert.deepEqual([user_stopped, pid], ['true', null]);
      await eventually('nothing of it is mounted', PATIENCE_MS, () => {
        const { status, stdout } = tree.inside(['cat', '/proc/self/mounts']);
        return status === 0 && !stdout.includes('/lxc/deaf/');
      });
      assert.equal((await untilStatus(tree, 'neighbour', 'STARTED')).pid, neighbour.pid);
      await act(tree, 'deaf', 'start');
      await untilStatus(tree, 'deaf', 'STARTED');
    });
  }
});
