// Pools against a machine that has addresses, routes and name servers of its own.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { beforeEach, describe, it } from 'node:test';
import { createHostOverlaps, type HostOverlaps, PoolsOverlap } from '../../services/net-svc/host-overlap.ts';
import { createNat } from '../../services/net-svc/nat.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import type { Lease } from '../../shared/schema/network.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { bareHost, NONE_LENT } from './bare-host.ts';
import { addresses, internal, lab, leaseOf, link, links, run } from './kernel.ts';

reexecInNamespaces(import.meta.filename);

const RESOLV_CONF = '/run/resolv.conf';
const quiet = { ...internal, nat: false };
let attached: readonly Lease[] = [];

const makeHost = (overlaps?: HostOverlaps) => bareHost(createNat([], [], '/run/.nat'), overlaps);

function open(severity: 'error' | 'warning' = 'error') {
  const lines: string[] = [];
  const collect = (line: string): void => void lines.push(line);
  const log = { ...silentLogger, info: collect, warn: collect };
  const announced: number[] = [];
  const announce = (overlaps: readonly object[]): void => void announced.push(overlaps.length);
  const resolvConfs = [RESOLV_CONF, '/run/no-such-file'];
  const leases = () => attached;
  return { lines, announced, ...createHostOverlaps({ log, severity, announce, resolvConfs, lent: NONE_LENT, leases }) };
}
const refused = (...pools: (typeof internal)[]): readonly string[] => refusedBut([], ...pools);
/** `servers`: what is told of containers. */
function refusedBut(servers: readonly string[], ...pools: (typeof internal)[]): readonly string[] {
  return open()
    .inTheWay(pools, servers)
    .map(({ pool, with: other }) => `${pool} ${other}`);
}

beforeEach(async () => {
  await makeHost().configure([]);
  // One end of a veth takes the other one along.
  for (const { ifname } of links()) if (ifname !== 'lo' && link(ifname)) run(['ip', 'link', 'del', ifname]);
  writeFileSync(RESOLV_CONF, '');
  attached = [];
  run(['ip', 'link', 'add', 'uplink', 'type', 'veth', 'peer', 'name', 'outside']);
  run(['ip', 'link', 'set', 'outside', 'up']);
  run(['ip', 'link', 'set', 'uplink', 'up']);
  run(['ip', 'addr', 'add', '192.0.2.7/24', 'dev', 'uplink']);
  run(['ip', 'route', 'add', 'default', 'via', '192.0.2.1']);
});

describe('a pool on a machine', () => {
  it('is fine beside an uplink with a default route', () => {
    assert.deepEqual(refused(quiet, lab), []);
  });

  it('is refused for an address, a route and a name server in its subnet', () => {
    run(['ip', 'addr', 'add', '10.0.5.77/25', 'dev', 'uplink']);
    run(['ip', 'route', 'add', '10.0.4.0/23', 'via', '192.0.2.2']);
    writeFileSync(RESOLV_CONF, 'nameserver 10.0.6.53\nnameserver 192.0.2.53\n');
    assert.deepEqual(refused(quiet, lab), [
      'internal address 10.0.5.77/25 of uplink',
      'internal route 10.0.4.0/23 by uplink',
      'lab name server 10.0.6.53',
    ]);
    assert.deepEqual(open('warning').inTheWay([quiet, lab], []), []);
  });

  it('is fine beside a tunnel that takes everything by two routes, each for one half', () => {
    for (const half of ['0.0.0.0/1', '128.0.0.0/1']) run(['ip', 'route', 'add', half, 'via', '192.0.2.9']);
    assert.deepEqual(refused(quiet, lab), []);
  });

  it('is fine where a container of its own is the name server, and refused for another', () => {
    writeFileSync(RESOLV_CONF, 'nameserver 10.0.5.53\nnameserver 10.0.6.53\n');
    assert.deepEqual(refusedBut(['10.0.5.53'], quiet, lab), ['lab name server 10.0.6.53']);
  });

  it('is no matter to tell of while a container that is or was attached is the name server', async () => {
    await makeHost().configure([quiet]);
    writeFileSync(RESOLV_CONF, 'nameserver 10.0.5.53\n');
    const overlaps = open();
    attached = [leaseOf(quiet, 'dns', 53)];
    overlaps.look([quiet]);
    attached = [];
    overlaps.look([quiet]);
    assert.deepEqual(overlaps.reasons(), []);
    writeFileSync(RESOLV_CONF, 'nameserver 10.0.5.54\n');
    overlaps.look([quiet]);
    assert.equal(overlaps.reasons().length, 1);
  });

  it('is refused for a route of another table and for one that goes nowhere', () => {
    run(['ip', 'route', 'add', '10.0.5.0/28', 'via', '192.0.2.2', 'table', '100']);
    run(['ip', 'route', 'add', 'blackhole', '10.0.6.0/28']);
    assert.deepEqual(refused(quiet, lab), [
      'internal route 10.0.5.0/28 by uplink',
      'lab route 10.0.6.0/28 by no single link',
    ]);
    run(['ip', 'route', 'del', 'blackhole', '10.0.6.0/28']);
  });

  it('is refused before anything is touched', async () => {
    run(['ip', 'addr', 'add', '10.0.5.77/25', 'dev', 'uplink']);
    const before = run(['ip', 'addr']);
    const host = makeHost(open());
    await assert.rejects(host.configure([lab, quiet]), PoolsOverlap);
    assert.equal(run(['ip', 'addr']), before);
  });

  it('is left out where that is asked for, with the others made; what is there of it stays until it is made', async () => {
    await makeHost(open()).configure([quiet, lab]);
    run(['ip', 'addr', 'del', '10.0.5.1/24', 'dev', 'pvbr0']);
    run(['ip', 'addr', 'add', '10.0.5.77/25', 'dev', 'uplink']);
    run(['ip', 'link', 'del', 'pvbr1']);
    const host = makeHost(open());
    const { made, overlaps } = await host.configure([quiet, lab], { leaveOut: true });
    assert.deepEqual([made.map(({ name }) => name), overlaps.map(({ pool }) => pool)], [['lab'], ['internal']]);
    assert.deepEqual([host.isLeftOut('internal'), host.isLeftOut('lab')], [true, false]);
    run(['ip', 'link', 'del', 'pvbr1']);
    await host.repair(new Set(['links']), () => undefined);
    assert.deepEqual([addresses('pvbr0'), addresses('pvbr1')], [[], ['10.0.6.1/24']]);
    run(['ip', 'addr', 'del', '10.0.5.77/25', 'dev', 'uplink']);
    assert.deepEqual((await host.configure([quiet, lab], { leaveOut: true })).overlaps, []);
    assert.deepEqual(addresses('pvbr0'), ['10.0.5.1/24']);
  });

  it('does not overlap itself, nor what an earlier revision left on a bridge of ours', async () => {
    await makeHost().configure([quiet, lab]);
    assert.deepEqual(refused(quiet, lab), []);
    assert.deepEqual(refused({ ...quiet, name: 'renamed', bridge: 'pvbr9' }), []);
  });

  it('is not refused but told of once it stands, and told of again when it is over', async () => {
    await makeHost().configure([quiet]);
    const overlaps = open();
    overlaps.look([quiet]);
    assert.deepEqual(overlaps.reasons(), []);
    run(['ip', 'addr', 'add', '10.0.5.200/24', 'dev', 'uplink']);
    assert.deepEqual(overlaps.inTheWay([quiet], []), []);
    overlaps.look([quiet]);
    overlaps.look([quiet]);
    assert.deepEqual(
      overlaps.reasons().map(({ code, subject }) => `${code} ${subject}`),
      ['POOL_OVERLAPS pool internal'],
    );
    run(['ip', 'addr', 'del', '10.0.5.200/24', 'dev', 'uplink']);
    overlaps.look([quiet]);
    assert.deepEqual(overlaps.reasons(), []);
    assert.deepEqual(overlaps.announced, [1, 0]);
    assert.deepEqual(overlaps.lines, [
      "pool 'internal' has 10.0.5.0/24, which overlaps this machine's address 10.0.5.200/24 of uplink; give the pool another subnet",
      "pool 'internal' is clear of address 10.0.5.200/24 of uplink again",
    ]);
  });
});
