// The rules of IPAM that only a kernel can show: NAT, and that without pools there is nothing.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { beforeEach, describe, it } from 'node:test';
import { attach } from '../../services/net-svc/attachments.ts';
import { iptables, nftables } from '../../services/net-svc/nat-command.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { clear, FORWARD, makeOutside, missing, namespaces, OUTSIDE_ADDRESS, restart } from '../net-svc/host.ts';
import { internal, lab, leaseOf, pings, reaches, run } from '../net-svc/kernel.ts';
import { quiet, watchNetwork, watchRules } from '../net-svc/watchers.ts';
import { createDevice } from '../state-svc/device.ts';

reexecInNamespaces(import.meta.filename);

const FOREIGN = ['nft', 'list', 'table', 'ip', 'foreign'];

const masquerades = (): number => run(['nft', 'list', 'ruleset']).match(/masquerade/gi)?.length ?? 0;

beforeEach(clear);

describe('ipam rule 8: NAT', () => {
  for (const backend of [nftables, iptables]) {
    it(`is for pools that ask for it only, one rule after any number of restarts, nobody else's touched: ${backend.name}`, async () => {
      makeOutside();
      run(['nft', 'add', 'table', 'ip', 'foreign']);
      run(['nft', 'add', 'chain', 'ip', 'foreign', 'post', '{ type nat hook postrouting priority 90; }']);
      run(['nft', 'add', 'rule', 'ip', 'foreign', 'post', 'ip', 'daddr', '198.51.100.9', 'counter', 'accept']);
      const foreign = run(FOREIGN);
      for (let times = 0; times < 5; times += 1)
        assert.equal((await restart([backend]).configure([internal, lab])).nat, backend.name);
      assert.equal(masquerades(), 1);
      assert.equal(run(FOREIGN), foreign);
      assert.equal(readFileSync(FORWARD, 'utf8'), '1\n');
      attach(namespaces, 'with', [leaseOf(internal, 'with', 2)]);
      attach(namespaces, 'without', [leaseOf(lab, 'without', 2)]);
      assert.ok(reaches(OUTSIDE_ADDRESS, namespaces.pathOf('with')));
      assert.ok(!pings(OUTSIDE_ADDRESS, namespaces.pathOf('without')));
      assert.ok(reaches('10.0.6.1', namespaces.pathOf('without')));
    });
  }

  it('falls back from nft to iptables, and without both the pool serves local traffic, warns and is degraded', async () => {
    assert.equal((await restart([missing('nftables'), iptables]).configure([internal])).nat, 'iptables');
    await restart().configure([]);
    const net = restart([missing('nftables'), missing('iptables')]);
    assert.equal((await net.configure([internal])).nat, 'unavailable');
    assert.ok(
      net.healthReasons().some(({ code, subject }) => code === 'NAT_UNAVAILABLE' && subject === 'pool internal'),
    );
    assert.ok(net.lines.some((line) => line.startsWith('no NAT for pool internal')));
    attach(namespaces, 'c', [leaseOf(internal, 'c', 2)]);
    assert.ok(reaches('10.0.5.1', namespaces.pathOf('c')));
  });
});

describe('ipam rule 10: zero impact', () => {
  it('is no bridge, no rule, no route and no sysctl without pools', async () => {
    await quiet();
    const watchers = [await watchNetwork(), await watchRules()];
    const net = restart();
    for (let times = 0; times < 3; times += 1) assert.equal((await net.configure([])).nat, 'unneeded');
    for (const watcher of watchers) assert.deepEqual(await watcher.changes(), []);
    assert.equal(readFileSync(FORWARD, 'utf8'), '0\n');
    assert.deepEqual([net.lines, net.healthReasons()], [[], []]);
  });

  it('asks for no address and no namespace for containers without a network block', async () => {
    const device = await createDevice({ a: { group: 'app', lxc: 'lxc.net.0.type = empty\n' } }, {});
    try {
      await device.boot();
      await device.untilStatus('a', 'STARTED');
      const asked = device.world.calls.filter((call) => /^(ipam\.(allocate|release)|net\.(attach|detach))/.test(call));
      assert.deepEqual(asked, []);
    } finally {
      await device.close();
    }
  });
});
