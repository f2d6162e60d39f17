import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { beforeEach, describe, it } from 'node:test';
import { AS_ASKED, type AttachMode, attach } from '../../services/net-svc/attachments.ts';
import { detachAll } from '../../services/net-svc/detachments.ts';
import { createNat } from '../../services/net-svc/nat.ts';
import { NetFailure } from '../../services/net-svc/net-failure.ts';
import { openNamespaces } from '../../services/net-svc/netns.ts';
import type { Lease } from '../../shared/schema/network.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { bareHost } from './bare-host.ts';
import { addresses, defaultRoutes, internal, lan, leaseOf, link, links, makeUplink, reaches, run } from './kernel.ts';
import { quiet, watchNetwork, watchRules } from './watchers.ts';

reexecInNamespaces(import.meta.filename);

const dir = '/run/berth/netns';
mkdirSync(dir, { recursive: true });
const namespaces = openNamespaces(dir);
const host = bareHost(createNat([], [], `${dir}/.nat`));
const mode: AttachMode = { ...AS_ASKED, isMacvlan: (pool) => pool === lan.name };
const put = (container: string, leases: readonly Lease[]) => attach(namespaces, container, leases, mode);
const detach = (...containers: string[]) => assert.deepEqual([...detachAll(namespaces, containers, true)], []);
const netnsOf = (container: string): string => `${dir}/${container}`;

makeUplink();

beforeEach(async () => {
  detach(...namespaces.list());
  await host.configure([]);
});

describe('a macvlan pool', () => {
  it('puts containers on the network of its parent, and makes nothing on the host', async () => {
    const before = links().map(({ ifname }) => ifname);
    const rules = await watchRules();
    assert.equal((await host.configure([lan])).nat, 'unneeded');
    const attachment = put('a', [leaseOf(lan, 'a', 10)]);
    put('b', [leaseOf(lan, 'b', 11)]);
    assert.deepEqual(attachment.interfaces, [{ interface: 'eth0', hostInterface: 'uplink' }]);
    assert.equal(link('eth0', netnsOf('a'))?.address, '02:00:c0:00:02:0a');
    assert.deepEqual(addresses('eth0', netnsOf('a')), ['192.0.2.10/24']);
    assert.deepEqual(defaultRoutes(netnsOf('a')), [{ gateway: '192.0.2.1', dev: 'eth0' }]);
    assert.ok(reaches('192.0.2.1', netnsOf('a')));
    assert.ok(reaches('192.0.2.11', netnsOf('a')));
    assert.deepEqual(
      links().map(({ ifname }) => ifname),
      before,
    );
    assert.deepEqual(await rules.changes(), []);
  });

  it('leaves alone what a container made on top of its interface', async () => {
    await host.configure([lan]);
    put('a', [leaseOf(lan, 'a', 10)]);
    run(['nsenter', `--net=${netnsOf('a')}`, 'ip', 'link', 'add', 'own0', 'link', 'eth0', 'type', 'macvlan']);
    put('a', [leaseOf(lan, 'a', 10)]);
    assert.ok(link('own0', netnsOf('a')));
    detach('a');
  });

  it('does not keep other pools from being repaired while its parent is gone', async () => {
    await host.configure([lan, internal]);
    run(['ip', 'link', 'set', 'uplink', 'name', 'gone0']);
    run(['ip', 'link', 'delete', internal.bridge]);
    const repaired: string[] = [];
    try {
      await host.repair(new Set(['links']), (step) => repaired.push(step));
    } finally {
      run(['ip', 'link', 'set', 'gone0', 'name', 'uplink']);
    }
    assert.ok(link(internal.bridge));
    assert.ok(repaired.length > 0);
  });

  it('changes nothing the second time', async () => {
    await host.configure([lan]);
    put('a', [leaseOf(lan, 'a', 10)]);
    await quiet();
    const watchers = [await watchNetwork(), await watchNetwork(netnsOf('a'))];
    await host.configure([lan]);
    put('a', [leaseOf(lan, 'a', 10)]);
    for (const watcher of watchers) assert.deepEqual(await watcher.changes(), []);
  });

  it('serves one container beside a bridge, and takes interfaces away that no lease names any more', async () => {
    await host.configure([lan, internal]);
    put('both', [leaseOf(lan, 'both', 10), leaseOf(internal, 'both', 2, 'int0')]);
    assert.ok(reaches('192.0.2.1', netnsOf('both')));
    assert.ok(reaches('10.0.5.1', netnsOf('both')));
    put('both', [leaseOf(internal, 'both', 2, 'int0')]);
    assert.equal(link('eth0', netnsOf('both')), undefined);
  });

  it('frees the MAC at once: the same container attaches again and again', async () => {
    await host.configure([lan]);
    for (let round = 0; round < 5; round++) {
      put('loop', [leaseOf(lan, 'loop', 10)]);
      assert.ok(reaches('192.0.2.1', netnsOf('loop')));
      detach('loop');
    }
  });

  it('keeps no other pool from being made while its parent is missing, which attaching names and leaves nothing of', async () => {
    await host.configure([{ ...lan, bridge: 'eth9' }, internal]);
    put('a', [leaseOf(internal, 'a', 2)]);
    assert.ok(reaches('10.0.5.1', netnsOf('a')));
    const lease = { ...leaseOf(lan, 'x', 10), bridge: 'eth9' };
    assert.throws(() => put('x', [lease]), /find parent eth9 of pool lan: there is no link eth9 on this machine/);
    assert.deepEqual(namespaces.list(), ['a']);
  });

  it('undoes the interface when a later step fails', async () => {
    await host.configure([lan]);
    put('x', [leaseOf(lan, 'x', 10)]);
    const bad = { ...leaseOf(lan, 'x', 11, 'eth1'), bridge: 'eth9' };
    assert.throws(() => put('x', [leaseOf(lan, 'x', 10), leaseOf(lan, 'x', 12, 'eth2'), bad]), NetFailure);
    assert.deepEqual(
      links(netnsOf('x')).map(({ ifname }) => ifname),
      ['lo', 'eth0'],
    );
  });
});
