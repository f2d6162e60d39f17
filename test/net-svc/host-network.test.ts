import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, it } from 'node:test';
import { attach } from '../../services/net-svc/attachments.ts';
import { NetFailure } from '../../services/net-svc/net-failure.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { clear, FORWARD, makeOutside, namespaces, OUTSIDE_ADDRESS, restart } from './host.ts';
import { addresses, internal, ipv6Addresses, lab, leaseOf, link, links, pings, reaches, run } from './kernel.ts';
import { quiet, watchNetwork, watchRules } from './watchers.ts';

reexecInNamespaces(import.meta.filename);

beforeEach(clear);

const README = join(import.meta.dirname, '../../services/net-svc/README.md');

/** Gives the bridge a port, and by it a carrier: what the kernel waits for before it makes a bridge an IPv6 address. */
function carry(bridge: string): void {
  const ends = [`${bridge}a`, `${bridge}b`] as const;
  run(['ip', 'link', 'add', ends[0], 'master', bridge, 'type', 'veth', 'peer', 'name', ends[1]]);
  for (const end of ends) run(['ip', 'link', 'set', end, 'up']);
}

describe('net.configure', () => {
  it('makes the bridges, the rule of the pool with NAT, and forwarding, and says so in the words people grep for', async () => {
    const net = restart();
    assert.equal((await net.configure([internal, lab])).nat, 'nftables');
    assert.deepEqual(addresses('pvbr0'), ['10.0.5.1/24']);
    assert.deepEqual(addresses('pvbr1'), ['10.0.6.1/24']);
    assert.equal(link('pvbr0')?.address, '02:00:0a:00:05:01');
    assert.equal(link('pvbr0')?.ifalias, 'berth:pool:internal');
    assert.equal(run(['nft', 'list', 'ruleset']).match(/masquerade/g)?.length, 1);
    assert.equal(readFileSync(FORWARD, 'utf8'), '1\n');
    assert.deepEqual(net.lines, [
      'created bridge pvbr0 with IP 10.0.5.1/24',
      'created bridge pvbr1 with IP 10.0.6.1/24',
      'setup NAT (nftables) for pool internal',
      'switched on net.ipv4.ip_forward',
    ]);
    assert.deepEqual(net.healthReasons(), []);
  });

  it('gives a bridge its MAC in the message that creates it', async () => {
    const watcher = await watchNetwork();
    await restart().configure([internal]);
    const births = (await watcher.changes()).filter((line) => line.includes('pvbr0') && line.includes('link/ether'));
    assert.ok(births.length > 0);
    for (const line of births) assert.match(line, /link\/ether 02:00:0a:00:05:01 /);
  });

  it('makes bridges without an IPv6 address of their own, past which no rule of IPv4 stands', async () => {
    await restart().configure([internal]);
    attach(namespaces, 'c', [leaseOf(internal, 'c', 2)]);
    // It has a carrier then.
    assert.ok(reaches('10.0.5.1', namespaces.pathOf('c')));
    await quiet();
    assert.deepEqual(ipv6Addresses('pvbr0'), []);
  });

  it('takes the IPv6 address away that a bridge of a former build made itself, and none that somebody gave it', async () => {
    run(['ip', 'link', 'add', 'pvbr0', 'type', 'bridge']);
    run(['ip', 'link', 'set', 'pvbr0', 'alias', 'berth:pool:internal', 'address', '02:00:0a:00:05:01', 'up']);
    run(['ip', 'addr', 'add', '10.0.5.1/24', 'dev', 'pvbr0']);
    run(['ip', 'addr', 'add', '2001:db8::1/64', 'dev', 'pvbr0']);
    carry('pvbr0');
    await eventually('the kernel’s own', PATIENCE_MS, () => ipv6Addresses('pvbr0').includes('fe80::aff:fe00:501'));
    await restart().configure([internal]);
    assert.deepEqual(ipv6Addresses('pvbr0'), ['2001:db8::1']);
    run(['ip', 'link', 'add', 'lxcbr0', 'type', 'bridge']);
    run(['ip', 'link', 'set', 'lxcbr0', 'up']);
    carry('lxcbr0');
    await eventually('theirs', PATIENCE_MS, () => ipv6Addresses('lxcbr0').length === 1);
    await restart().configure([{ ...internal, bridge: 'lxcbr0' }]);
    assert.equal(ipv6Addresses('lxcbr0').length, 1);
  });

  it('changes nothing the second time, also after a restart', async () => {
    await restart().configure([internal, lab]);
    attach(namespaces, 'c', [leaseOf(internal, 'c', 2)]);
    attach(namespaces, 'd', [leaseOf(lab, 'd', 2)]);
    await quiet();
    const watchers = [await watchNetwork(), await watchRules()];
    const again = restart();
    assert.equal((await again.configure([internal, lab])).nat, 'nftables');
    for (const watcher of watchers) assert.deepEqual(await watcher.changes(), []);
    assert.deepEqual(again.lines, []);
  });

  it('touches nothing at all without pools', async () => {
    await quiet();
    const watchers = [await watchNetwork(), await watchRules()];
    assert.equal((await restart().configure([])).nat, 'unneeded');
    for (const watcher of watchers) assert.deepEqual(await watcher.changes(), []);
    assert.equal(readFileSync(FORWARD, 'utf8'), '0\n');
    assert.deepEqual(
      links().map(({ ifname }) => ifname),
      ['lo'],
    );
  });

  it('leaves forwarding as it is when no pool has NAT', async () => {
    assert.equal((await restart().configure([lab])).nat, 'unneeded');
    assert.equal(readFileSync(FORWARD, 'utf8'), '0\n');
  });

  it('removes bridges and rules of pools that are gone', async () => {
    await restart().configure([internal, lab]);
    assert.equal((await restart().configure([lab])).nat, 'unneeded');
    assert.equal(link('pvbr0'), undefined);
    assert.ok(link('pvbr1'));
    assert.equal(run(['nft', 'list', 'ruleset']), '');
  });

  it('follows a pool to another subnet: one address, the new MAC, the new rule', async () => {
    await restart().configure([internal]);
    await restart().configure([{ ...internal, subnet: '10.7.0.0/16', gateway: '10.7.0.1' }]);
    assert.deepEqual(addresses('pvbr0'), ['10.7.0.1/16']);
    assert.equal(link('pvbr0')?.address, '02:00:0a:07:00:01');
    assert.match(run(['nft', 'list', 'ruleset']), /ip saddr 10\.7\.0\.0\/16/);
    assert.equal(run(['nft', 'list', 'ruleset']).match(/masquerade/g)?.length, 1);
  });

  it("leaves others' tables and rules byte-identical", async () => {
    run(['nft', 'add', 'table', 'inet', 'theirs']);
    run(['nft', 'add', 'chain', 'inet', 'theirs', 'in', '{ type filter hook input priority 0; policy accept; }']);
    run(['nft', 'add', 'rule', 'inet', 'theirs', 'in', 'ip saddr 10.0.0.0/8 accept comment "mine"']);
    run(['iptables', '-t', 'nat', '-A', 'POSTROUTING', '-s', '172.16.0.0/12', '-j', 'MASQUERADE']);
    const before = run(['nft', '-a', 'list', 'ruleset']);
    for (const pools of [[internal], [internal, lab], []]) {
      await restart().configure(pools);
      const tables = run(['nft', '-a', 'list', 'ruleset']).replace(/^table ip berth [\s\S]*?^}\n/m, '');
      assert.equal(tables, before);
    }
  });

  it('uses a bridge that somebody else made, and never deletes it', async () => {
    run(['ip', 'link', 'add', 'lxcbr0', 'type', 'bridge']);
    run(['ip', 'addr', 'add', '192.168.9.1/24', 'dev', 'lxcbr0']);
    const mac = link('lxcbr0')?.address;
    const pool = { ...internal, bridge: 'lxcbr0' };
    const net = restart();
    await net.configure([pool]);
    assert.deepEqual(addresses('lxcbr0'), ['192.168.9.1/24', '10.0.5.1/24']);
    assert.equal(link('lxcbr0')?.address, mac);
    assert.ok(!net.lines.some((line) => line.startsWith('created')));
    await restart().configure([]);
    assert.ok(link('lxcbr0'));
  });

  it('takes its addresses back from a bridge that somebody else made, also after a restart, and nobody else’s', async () => {
    run(['ip', 'link', 'add', 'lxcbr0', 'type', 'bridge']);
    run(['ip', 'addr', 'add', '10.0.3.1/24', 'dev', 'lxcbr0']);
    const theirs = { ...internal, bridge: 'lxcbr0', subnet: '10.0.3.0/24', gateway: '10.0.3.1' };
    const added = { ...theirs, subnet: '10.0.4.0/24', gateway: '10.0.4.1' };
    const next = { ...theirs, subnet: '10.0.7.0/24', gateway: '10.0.7.1' };
    await restart().configure([theirs]);
    await restart().configure([added]);
    assert.deepEqual(addresses('lxcbr0'), ['10.0.3.1/24', '10.0.4.1/24']);
    await restart().configure([next]);
    assert.deepEqual(addresses('lxcbr0'), ['10.0.3.1/24', '10.0.7.1/24']);
    // Of what is on its way out no later pool is kept.
    await restart().configure([{ ...next, bridge: 'pvbr0' }]);
    assert.deepEqual(addresses('pvbr0'), ['10.0.7.1/24']);
    await restart().configure([added]);
    // It would go with ours.
    run(['ip', 'addr', 'add', '10.0.4.9/24', 'dev', 'lxcbr0']);
    await restart().configure([]);
    assert.deepEqual(addresses('lxcbr0'), ['10.0.3.1/24', '10.0.4.1/24', '10.0.4.9/24']);
    run(['ip', 'addr', 'del', '10.0.4.9/24', 'dev', 'lxcbr0']);
    await restart().configure([]);
    assert.deepEqual(addresses('lxcbr0'), ['10.0.3.1/24']);
    run(['ip', 'addr', 'add', '10.0.4.1/24', 'dev', 'lxcbr0']);
    await restart().configure([added]);
    await restart().configure([]);
    assert.deepEqual(addresses('lxcbr0'), ['10.0.3.1/24', '10.0.4.1/24']);
    // Somebody else was faster.
    await restart().configure([next]);
    run(['ip', 'addr', 'del', '10.0.7.1/24', 'dev', 'lxcbr0']);
    await restart().configure([]);
    assert.deepEqual(addresses('lxcbr0'), ['10.0.3.1/24', '10.0.4.1/24']);
  });

  for (const promotes of [false, true]) {
    const how = promotes ? 'stays' : 'goes with the old one';
    it(`moves the gateway of a pool on a bridge that somebody else made, where the new one ${how}`, async () => {
      run(['ip', 'link', 'add', 'lxcbr0', 'type', 'bridge']);
      writeFileSync('/proc/sys/net/ipv4/conf/lxcbr0/promote_secondaries', promotes ? '1' : '0');
      const pool = { ...internal, bridge: 'lxcbr0' };
      await restart().configure([pool]);
      for (const gateway of ['10.0.5.254', '10.0.5.9', '10.0.5.1']) {
        await restart().configure([{ ...pool, gateway }]);
        assert.deepEqual(addresses('lxcbr0'), [`${gateway}/24`]);
      }
      await restart().configure([]);
      assert.deepEqual(addresses('lxcbr0'), []);
    });
  }

  it('takes several gateways back at once, but none with which somebody else’s address would go', async () => {
    run(['ip', 'link', 'add', 'lxcbr0', 'type', 'bridge']);
    const pool = { ...internal, bridge: 'lxcbr0' };
    const moved = { ...pool, gateway: '10.0.5.254' };
    await restart().configure([pool]);
    run(['ip', 'addr', 'add', '10.0.5.7/24', 'dev', 'lxcbr0']);
    await restart().configure([moved]);
    assert.deepEqual(addresses('lxcbr0'), ['10.0.5.1/24', '10.0.5.7/24', '10.0.5.254/24']);
    run(['ip', 'addr', 'del', '10.0.5.7/24', 'dev', 'lxcbr0']);
    await restart().configure([]);
    assert.deepEqual(addresses('lxcbr0'), []);
  });

  it('tells of a gateway that has to stay for somebody else’s address, and takes it back when that is gone', async () => {
    run(['ip', 'link', 'add', 'lxcbr0', 'type', 'bridge']);
    const pool = { ...internal, bridge: 'lxcbr0' };
    const moved = { ...pool, gateway: '10.0.5.254' };
    await restart().configure([pool]);
    run(['ip', 'addr', 'add', '10.0.5.7/24', 'dev', 'lxcbr0']);
    for (const pools of [[moved], []]) {
      const net = restart();
      await net.configure(pools);
      const [reason, ...others] = net.healthReasons();
      assert.deepEqual(others, []);
      assert.deepEqual([reason?.code, reason?.subject], ['ADDRESS_STAYS', 'bridge lxcbr0']);
      assert.match(reason?.message ?? '', /^10\.0\.5\.1\/24 of a pool that is gone stays on lxcbr0: 10\.0\.5\.7\/24, /);
      await net.repair(new Set(['links']), assert.fail);
      assert.equal(net.healthReasons().length, 1);
    }
    await restart().configure([moved]);
    const net = restart();
    net.assume([moved]);
    await net.repair(new Set(['links']), assert.fail);
    assert.equal(net.healthReasons().length, 1);
    run(['ip', 'addr', 'del', '10.0.5.7/24', 'dev', 'lxcbr0']);
    const repaired: string[] = [];
    await net.repair(new Set(['links']), (step) => repaired.push(step));
    assert.deepEqual(repaired.slice(0, 1), ['remove address 10.0.5.1/24 that no pool uses']);
    assert.deepEqual(net.healthReasons(), []);
    assert.deepEqual(addresses('lxcbr0'), ['10.0.5.254/24']);
  });

  it('repairs bridges also where an address cannot be taken back, which it tells and tries again', async () => {
    run(['ip', 'link', 'add', 'lxcbr0', 'type', 'bridge']);
    const pool = { ...internal, bridge: 'lxcbr0' };
    const pools = [{ ...pool, gateway: '10.0.5.254' }, lab];
    await restart().configure([pool]);
    run(['ip', 'addr', 'add', '10.0.5.7/24', 'dev', 'lxcbr0']);
    const net = restart();
    await net.configure(pools);
    const told = net.healthReasons();
    assert.deepEqual(
      told.map(({ code }) => code),
      ['ADDRESS_STAYS'],
    );
    // What is noted of addresses cannot be written there.
    const obstacle = namespaces.pathOf('.lent.new');
    mkdirSync(obstacle);
    try {
      run(['ip', 'addr', 'del', '10.0.5.7/24', 'dev', 'lxcbr0']);
      run(['ip', 'link', 'del', 'pvbr1']);
      const failure = await net.repair(new Set(['links']), () => undefined).catch((error: unknown) => error);
      assert.ok(failure instanceof NetFailure);
      assert.equal(failure.step, 'write down addresses of bridges that others made');
      assert.ok(link('pvbr1'));
      assert.deepEqual(net.healthReasons(), told);
    } finally {
      rmdirSync(obstacle);
    }
    await net.repair(new Set(['links']), () => undefined);
    assert.deepEqual(net.healthReasons(), []);
    assert.deepEqual(addresses('lxcbr0'), ['10.0.5.254/24']);
  });

  it('refuses a link of another kind and undoes the bridges it made', async () => {
    run(['ip', 'link', 'add', 'pvbr1', 'type', 'veth', 'peer', 'name', 'other']);
    const failure = await restart()
      .configure([internal, lab])
      .catch((error: unknown) => error);
    assert.ok(failure instanceof NetFailure);
    assert.equal(failure.step, 'use bridge pvbr1 for pool lab');
    assert.match(failure.reason, /veth/);
    assert.equal(link('pvbr0'), undefined);
  });

  it('undoes what it made when the kernel refuses a later step', async () => {
    run(['ip', 'link', 'add', 'theirs', 'type', 'bridge']);
    const before = links().map(({ ifname }) => ifname);
    // Two pools with one bridge never get here from a document; the kernel refuses the second creation.
    const failure = await restart()
      .configure([internal, { ...internal, name: 'twin' }])
      .catch((error: unknown) => error);
    assert.ok(failure instanceof NetFailure);
    assert.equal(failure.step, 'create bridge pvbr0');
    assert.match(failure.reason, /EEXIST/);
    assert.deepEqual(
      links().map(({ ifname }) => ifname),
      before,
    );
    assert.equal(run(['nft', 'list', 'ruleset']), '');
  });

  it('puts calls one after the other', async () => {
    const net = restart();
    await Promise.all([net.configure([internal]), net.configure([]), net.configure([internal, lab])]);
    assert.equal(run(['nft', 'list', 'ruleset']).match(/masquerade/g)?.length, 1);
    assert.ok(link('pvbr0') && link('pvbr1'));
  });
});

describe('pools', () => {
  it('reach each other, and are reached by who knows a way to them, unless the table of the README keeps one apart', async () => {
    makeOutside();
    await restart().configure([internal, lab]);
    attach(namespaces, 'c', [leaseOf(internal, 'c', 2)]);
    attach(namespaces, 'd', [leaseOf(lab, 'd', 2)]);
    const [c, d, outside] = ['c', 'd', 'outside'].map((container) => namespaces.pathOf(container));
    run(['ip', 'route', 'add', lab.subnet, 'via', '192.0.2.1'], outside);
    for (const from of [c, outside]) assert.ok(reaches('10.0.6.2', from ?? ''));
    assert.ok(reaches('10.0.5.2', d ?? ''));
    const [, table = ''] = /^ *nft '(table inet apart .*)'$/m.exec(readFileSync(README, 'utf8')) ?? [];
    assert.match(table, /pvbr1/);
    run(['nft', table]);
    for (const from of [c, outside]) assert.ok(!pings('10.0.6.2', from ?? ''));
    assert.ok(!pings('10.0.5.2', d ?? ''));
    assert.ok(reaches('10.0.6.1', d ?? ''));
    assert.ok(reaches(OUTSIDE_ADDRESS, c ?? ''));
  });
});
