// Metadata on a whole tree: behind state-svc's fences, over the control socket, over kills.
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import * as z from 'zod/mini';
import { curl } from '../ctl-svc/rig.ts';
import { get } from '../kit/api.ts';
import { openTree, packExample, type Tree } from '../kit/tree.ts';

const deviceMeta = z.looseObject({
  storage: z.looseObject({ total: z.number() }),
  sysinfo: z.looseObject({ totalram: z.number(), procs: z.number() }),
  interfaces: z.record(z.string(), z.array(z.string())),
  'pantavisor.status': z.string(),
  'pantavisor.revision': z.string(),
});

describe('metadata on a device', () => {
  let tree: Tree;
  before(async () => {
    const storage = packExample('01-basic');
    // As Pantavisor leaves it by default.
    const stock = join(storage, 'cache/meta');
    mkdirSync(stock, { recursive: true });
    writeFileSync(join(stock, 'k0'), 'v0', { mode: 0o400 });
    chmodSync(stock, 0o500);
    tree = await openTree(storage);
    tree.start();
    await tree.up();
  });
  after(() => tree.close());

  it('says what Berth knows about the device', async () => {
    const facts = await get(tree.socket, '/device-meta', deviceMeta);
    assert.equal(facts['pantavisor.revision'], '0');
    assert.equal(facts['pantavisor.status'], 'READY');
    assert.ok(facts.storage.total > 0);
    assert.ok(facts.sysinfo.totalram > 0 && facts.sysinfo.procs > 0);
    assert.deepEqual(facts.interfaces['pvbr0.ipv4'], ['10.0.5.1']);
    // The host's ends of the containers' interfaces, which have no address.
    const ports = Object.keys(facts.interfaces).filter((key) => /^veth.*\.mac$/.test(key));
    assert.equal(ports.length, 2, Object.keys(facts.interfaces).join(' '));
  });

  it('says what users told it under Pantavisor', async () => {
    assert.deepEqual(await get(tree.socket, '/user-meta', z.looseObject({})), { k0: 'v0' });
  });

  it('keeps what users say over the death of the whole tree', async () => {
    const put = await curl(tree.socket, '/user-meta/k1', ['-X', 'PUT', '-d', 'v1']);
    assert.equal(put.status, 200);
    await tree.killSupervisor();
    tree.start();
    await tree.up();
    assert.deepEqual(await get(tree.socket, '/user-meta', z.looseObject({})), { k0: 'v0', k1: 'v1' });
  });
});
