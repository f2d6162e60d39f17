// Stop, start and restart of a container through the API: same address, same counts, whatever the number of cycles.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { ask, containerRows, get, leaseRows } from '../kit/api.ts';
import { eventually } from '../kit/eventually.ts';
import { openTree, PATIENCE_MS, packExample, type Tree } from '../kit/tree.ts';

const CYCLES = 3;

describe('integration.stop-start', () => {
  let tree: Tree;
  before(async () => {
    tree = await openTree(packExample('01-basic'));
    tree.start();
    await tree.up();
  });
  after(() => tree.close());

  const row = async (name: string) => {
    const found = (await get(tree.socket, '/containers', containerRows)).find((candidate) => candidate.name === name);
    assert.ok(found);
    return found;
  };
  const counts = () =>
    ['ip -o link | wc -l', `ls ${tree.rundir}/netns | wc -l`, 'wc -l < /proc/self/mounts']
      .map((command) => tree.inside(['sh', '-c', command]).stdout.trim())
      .concat(String(tree.loopDevices().length));
  const act = async (action: string) => {
    const answer = await ask(tree.socket, 'PUT', '/containers/net-server', { action });
    assert.deepEqual(answer, { status: 200, body: '' });
  };
  const reaches = (status: string) =>
    eventually(`net-server ${status}`, PATIENCE_MS, async () => {
      const now = await row('net-server');
      return now.status === status ? now : undefined;
    });

  it('keeps address, mounts, links, namespaces and loop devices over stop and start', async () => {
    const leases = await get(tree.socket, '/ipam/leases', leaseRows);
    const before = counts();
    for (let cycle = 0; cycle < CYCLES; cycle += 1) {
      await act('stop');
      const stopped = await reaches('STOPPED');
      assert.equal(stopped.user_stopped, 'true');
      assert.equal(stopped.pid, null);
      await act('start');
      assert.equal((await reaches('STARTED')).user_stopped, 'false');
    }
    // A start or stop may have a step left when its status is told.
    await eventually('counts as before', PATIENCE_MS, () => `${counts()}` === `${before}`).catch(() =>
      assert.deepEqual(counts(), before),
    );
    assert.deepEqual(await get(tree.socket, '/ipam/leases', leaseRows), leases);
    const log = tree.readLog('pantavisor/pantavisor.log');
    assert.equal(log.match(/\[ipam\] allocated \S+ to net-server from pool internal/g)?.length, 1);
    assert.ok((log.match(/\[ipam\] reusing existing lease for net-server/g)?.length ?? 0) >= CYCLES);
  });

  it('gives a restarted container a new process and the same address', async () => {
    const before = await row('net-server');
    await act('restart');
    const now = await eventually('net-server restarted', PATIENCE_MS, async () => {
      const candidate = await row('net-server');
      return candidate.status === 'STARTED' && candidate.pid !== before.pid ? candidate : undefined;
    });
    assert.deepEqual(now.network, before.network);
  });

  it('recovers a container whose init is killed, at its old address', async () => {
    const before = await row('net-server');
    tree.inside(['kill', '-KILL', String(before.pid)]);
    const now = await eventually('net-server recovered', PATIENCE_MS, async () => {
      const candidate = await row('net-server');
      return candidate.status === 'STARTED' && candidate.pid !== before.pid ? candidate : undefined;
    });
    assert.deepEqual(now.exit?.status, { kind: 'signal', signal: 9 });
    assert.deepEqual(now.network, before.network);
  });
});
