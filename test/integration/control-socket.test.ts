// What a real container may say on the socket that it finds under /pantavisor.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { ask } from '../kit/api.ts';
import { openTree, packExample, type Tree } from '../kit/tree.ts';

const REFUSED = { status: 403, body: '{"Error":"Request not sent from a mgmt platform"}' };

describe('integration.control-socket', () => {
  let tree: Tree;
  before(async () => {
    tree = await openTree(packExample('01-basic'));
    tree.start();
    await tree.up();
  });
  after(() => tree.close());

  it('is a socket in the container, in a folder where it can write nothing', async () => {
    const [row] = await tree.up();
    const listed = tree.inside(['ls', '-l', `/proc/${row?.pid}/root/pantavisor/`]).stdout;
    assert.match(listed, /^srw-rw-rw-.* pv-ctrl$/m);
    const write = tree.inside([
      'nsenter',
      `--target=${row?.pid}`,
      '--mount',
      '--root',
      '/bin/busybox',
      'touch',
      '/pantavisor/x',
    ]);
    assert.match(write.stderr, /Read-only file system/);
  });

  for (const [method, path] of [
    ['GET', '/containers'],
    ['GET', '/groups'],
    ['PUT', '/containers/net-server'],
    ['GET', '/services'],
    ['GET', '/ipam/leases'],
    ['GET', '/ipam/pools'],
    ['GET', '/health'],
    ['GET', '/no-such-path'],
    ['DELETE', '/containers'],
  ] as const) {
    it(`refuses ${method} ${path} to a container without role mgmt`, async () => {
      const socket = `${tree.rundir}/ctl/net-client/pv-ctrl`;
      assert.deepEqual(await ask(socket, method, path, method === 'PUT' ? { action: 'stop' } : undefined), REFUSED);
    });
  }

  it('answers a signal of a container whose goal is not READY with the reference text', async () => {
    const socket = `${tree.rundir}/ctl/net-client/pv-ctrl`;
    const answer = await ask(socket, 'POST', '/signal', { type: 'ready', payload: '' });
    assert.deepEqual(answer, { status: 500, body: '{"Error":"Signal not expected from this platform"}' });
  });

  it('answers the host on the host socket', async () => {
    assert.equal((await ask(tree.socket, 'GET', '/containers')).status, 200);
  });
});
