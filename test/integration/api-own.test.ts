// What Berth's API has beyond the stock one, from the bundles on a whole tree: metrics, the document, leases given back and told of.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { ask, containerRows, get, leaseRows } from '../kit/api.ts';
import { eventually } from '../kit/eventually.ts';
import { openTree, PATIENCE_MS, packExample, type Tree } from '../kit/tree.ts';

const hasPromtool = spawnSync('promtool', ['--version']).error === undefined;

describe('integration: the API beyond the stock one', () => {
  let tree: Tree;
  before(async () => {
    tree = await openTree(packExample('01-basic'));
    tree.start();
    await tree.up();
  });
  after(() => tree.close());

  it('has metrics of everything', async () => {
    const { status, body } = await ask(tree.socket, 'GET', '/metrics');
    assert.equal(status, 200);
    for (const line of [
      'berth_pool_leases{pool="internal"} 2',
      'berth_service_up{service="net-svc"} 1',
      'berth_source_up{service="ipam-svc"} 1',
      'berth_container_restarts_total{container="net-client"} 0',
    ]) {
      assert.ok(body.split('\n').includes(line), `${line}\n${body}`);
    }
    if (!hasPromtool) return;
    const checked = spawnSync('promtool', ['check', 'metrics'], { input: body, encoding: 'utf8' });
    assert.deepEqual([checked.status, checked.stderr], [0, '']);
  });

  it('describes itself', async () => {
    assert.match((await ask(tree.socket, 'GET', '/openapi.json')).body, /^\{"openapi":"3\.1\.0"/);
  });

  it('gives a lease back when its container is stopped, tells of it, and gives one again at the start', async () => {
    const lease = '/ipam/leases/internal/net-client';
    assert.equal((await ask(tree.socket, 'DELETE', lease)).status, 409);
    await ask(tree.socket, 'PUT', '/containers/net-client', { action: 'stop' });
    const status = async () =>
      (await get(tree.socket, '/containers', containerRows)).find(({ name }) => name === 'net-client')?.status;
    await eventually('it is stopped', PATIENCE_MS, async () => (await status()) === 'STOPPED');
    assert.deepEqual(await ask(tree.socket, 'DELETE', lease), { status: 200, body: '' });
    assert.equal((await ask(tree.socket, 'DELETE', lease)).status, 404);
    await ask(tree.socket, 'PUT', '/containers/net-client', { action: 'start' });
    await eventually('it is started', PATIENCE_MS, async () => (await status()) === 'STARTED');
    const leases = await get(tree.socket, '/ipam/leases', leaseRows);
    assert.ok(leases.some(({ owner }) => owner === 'net-client'));
    // Twice at the start, once returned, once given again: this ctl-svc may have missed the first ones.
    const { body } = await ask(tree.socket, 'GET', '/metrics');
    assert.match(body, /^berth_events_total\{type="lease"\} [2-4]$/m);
  });
});
