// The rules of IPAM that only a kernel can show: NAT, and that without pools there is nothing.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { beforeEach, describe, it } from 'node:test';
import { attach } from '../../services/net-svc/attachments.ts';
import { detach } from '../../services/net-svc/detachments.ts';
import { createHostNetwork } from '../../services/net-svc/host-network.ts';
import { createNat } from '../../services/net-svc/nat.ts';
import { iptables, type NatBackend, nftables } from '../../services/net-svc/nat-command.ts';
import { openNamespaces } from '../../services/net-svc/netns.ts';
import { type Logger, silentLogger } from '../../shared/log/logger.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import {
  internal,
  lab,
  leaseOf,
  link,
  links,
  pings,
  run,
  settle,
  watchNetwork,
  watchRules,
} from '../net-svc/kernel.ts';
import { createDevice } from '../state-svc/device.ts';

reexecInNamespaces(import.meta.filename);

const dir = '/run/berth/netns';
mkdirSync(dir, { recursive: true });
const namespaces = openNamespaces(dir);
const FORWARD = '/proc/sys/net/ipv4/ip_forward';
const OUTSIDE_ADDRESS = '192.0.2.2';
const FOREIGN = ['nft', 'list', 'table', 'ip', 'foreign'];

/** A net-svc that starts anew. */
function start(backends: readonly NatBackend[] = [nftables, iptables]) {
  const lines: string[] = [];
  const collect = (line: string): void => void lines.push(line);
  const log: Logger = { ...silentLogger, info: collect, warn: collect };
  return { lines, ...createHostNetwork(createNat(backends, [nftables, iptables], `${dir}/.nat`), log) };
}

const missing = (name: 'nftables' | 'iptables'): NatBackend => ({
  name,
  apply: async () => ({ kind: 'failed', reason: `${name}: not installed` }),
  remove: async () => ({ kind: 'unchanged' }),
});
const masquerades = (): number => run(['nft', 'list', 'ruleset']).match(/masquerade/gi)?.length ?? 0;

beforeEach(async () => {
  for (const container of namespaces.list()) detach(namespaces, container);
  await start().configure([]);
  run(['nft', 'flush', 'ruleset']);
  // One end of a veth takes the other one along.
  for (const { ifname } of links()) if (ifname !== 'lo' && link(ifname)) run(['ip', 'link', 'del', ifname]);
  writeFileSync(FORWARD, '0');
});

/** A host beyond an uplink that knows no way back to the pools. */
function makeOutside(): void {
  namespaces.create('outside');
  const path = namespaces.pathOf('outside');
  run(['ip', 'link', 'add', 'uplink', 'type', 'veth', 'peer', 'name', 'up0', 'netns', path]);
  run(['ip', 'addr', 'add', '192.0.2.1/24', 'dev', 'uplink']);
  run(['ip', 'link', 'set', 'uplink', 'up']);
  run(['ip', 'addr', 'add', `${OUTSIDE_ADDRESS}/24`, 'dev', 'up0'], path);
  run(['ip', 'link', 'set', 'up0', 'up'], path);
}

describe('ipam rule 8: NAT', () => {
  for (const backend of [nftables, iptables]) {
    it(`is for pools that ask for it only, one rule after any number of restarts, nobody else's touched: ${backend.name}`, async () => {
      makeOutside();
      run(['nft', 'add', 'table', 'ip', 'foreign']);
      run(['nft', 'add', 'chain', 'ip', 'foreign', 'post', '{ type nat hook postrouting priority 90; }']);
      run(['nft', 'add', 'rule', 'ip', 'foreign', 'post', 'ip', 'daddr', '198.51.100.9', 'counter', 'accept']);
      const foreign = run(FOREIGN);
      for (let times = 0; times < 5; times += 1)
        assert.equal(await start([backend]).configure([internal, lab]), backend.name);
      assert.equal(masquerades(), 1);
      assert.equal(run(FOREIGN), foreign);
      assert.equal(readFileSync(FORWARD, 'utf8'), '1\n');
      attach(namespaces, 'with', [leaseOf(internal, 'with', 2)]);
      attach(namespaces, 'without', [leaseOf(lab, 'without', 2)]);
      settle();
      assert.ok(pings(OUTSIDE_ADDRESS, namespaces.pathOf('with')));
      assert.ok(!pings(OUTSIDE_ADDRESS, namespaces.pathOf('without')));
      assert.ok(pings('10.0.6.1', namespaces.pathOf('without')));
    });
  }

  it('falls back from nft to iptables, and without both the pool serves local traffic, warns and is degraded', async () => {
    assert.equal(await start([missing('nftables'), iptables]).configure([internal]), 'iptables');
    await start().configure([]);
    const net = start([missing('nftables'), missing('iptables')]);
    assert.equal(await net.configure([internal]), 'unavailable');
    assert.ok(
      net.healthReasons().some(({ code, subject }) => code === 'NAT_UNAVAILABLE' && subject === 'pool internal'),
    );
    assert.ok(net.lines.some((line) => line.startsWith('no NAT for pool internal')));
    attach(namespaces, 'c', [leaseOf(internal, 'c', 2)]);
    settle();
    assert.ok(pings('10.0.5.1', namespaces.pathOf('c')));
  });
});

describe('ipam rule 10: zero impact', () => {
  it('is no bridge, no rule, no route and no sysctl without pools', async () => {
    const watchers = [await watchNetwork(), await watchRules()];
    const net = start();
    for (let times = 0; times < 3; times += 1) assert.equal(await net.configure([]), 'unneeded');
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
