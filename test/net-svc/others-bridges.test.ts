// Bridges of the host's own that pools use: the host takes them away and makes them anew, or takes one over that Berth made first.
import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { attach } from '../../services/net-svc/attachments.ts';
import { PoolsOverlap } from '../../services/net-svc/host-overlap.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { clear, namespaces, restart } from './host.ts';
import { addresses, internal, lab, leaseOf, link, reaches, run } from './kernel.ts';

reexecInNamespaces(import.meta.filename);

beforeEach(clear);

const UPLINK = '192.0.2.10/24';
const pool = { ...internal, bridge: 'br0' };

/** As a host's network program does it: the machine's own network is reached through the bridge. */
function makeTheirs(): void {
  run(['ip', 'link', 'add', 'br0', 'type', 'bridge']);
  takeOver();
}
function takeOver(): void {
  if (link('eth0') === undefined) {
    run(['ip', 'link', 'add', 'cable', 'type', 'veth', 'peer', 'name', 'socket']);
    run(['ip', 'link', 'add', 'eth0', 'link', 'cable', 'type', 'macvlan', 'mode', 'passthru']);
  }
  run(['ip', 'link', 'set', 'eth0', 'master', 'br0', 'up']);
  run(['ip', 'addr', 'add', UPLINK, 'dev', 'br0']);
  run(['ip', 'link', 'set', 'br0', 'up']);
}

const LINKS = new Set(['links' as const]);

describe('a bridge of the host that a pool uses', () => {
  it('is not made in its place while it is gone, which health tells, and is used again when it is back', async () => {
    makeTheirs();
    const net = restart();
    await net.configure([pool, lab]);
    run(['ip', 'link', 'del', 'br0']);
    run(['ip', 'link', 'del', 'pvbr1']);
    const repaired: string[] = [];
    await net.repair(LINKS, (step) => repaired.push(step));
    assert.equal(link('br0'), undefined);
    assert.ok(link('pvbr1'));
    assert.deepEqual(
      net.healthReasons().map(({ code, subject }) => [code, subject]),
      [['BRIDGE_GONE', 'pool internal']],
    );
    assert.ok(net.lines.some((line) => /^the bridge br0 of pool 'internal', .* is gone/.test(line)));
    makeTheirs();
    await net.repair(LINKS, () => undefined);
    assert.deepEqual(addresses('br0'), [UPLINK, '10.0.5.1/24']);
    assert.deepEqual(net.healthReasons(), []);
  });

  it('goes on learning as its owner gave it, and one of ours never begins', async () => {
    makeTheirs();
    const net = restart();
    await net.configure([pool, lab]);
    // Made anew by a repair, which tells of every change.
    run(['ip', 'link', 'del', 'pvbr1']);
    const repaired: string[] = [];
    await net.repair(LINKS, (step) => repaired.push(step));
    const learns = (name: string): boolean => run(['ip', '-d', 'link', 'show', name]).includes('no_linklocal_learn 0');
    assert.deepEqual(['br0', 'pvbr1'].map(learns), [true, false]);
    assert.ok(repaired.some((step) => step.includes('pvbr1')));
    assert.doesNotMatch(repaired.join(), /learn nothing/);
  });

  it('has its pool refused for nothing while it is gone: what was its may be another link’s meanwhile', async () => {
    makeTheirs();
    await restart().configure([pool]);
    run(['ip', 'link', 'del', 'br0']);
    run(['ip', 'addr', 'add', '10.0.5.77/24', 'dev', 'eth0']);
    const net = restart();
    await net.configure([pool, lab]);
    assert.ok(link('pvbr1'));
    assert.deepEqual(
      net.healthReasons().map(({ code, subject }) => [code, subject]),
      [
        ['BRIDGE_GONE', 'pool internal'],
        ['POOL_OVERLAPS', 'pool internal'],
      ],
    );
    await assert.rejects(restart().configure([{ ...pool, bridge: 'pvbr0' }]), PoolsOverlap);
  });

  it('is known as theirs after a restart, too, until no pool names it', async () => {
    makeTheirs();
    await restart().configure([pool]);
    run(['ip', 'link', 'del', 'br0']);
    const net = restart();
    await net.configure([pool]);
    assert.equal(link('br0'), undefined);
    assert.equal(net.healthReasons()[0]?.code, 'BRIDGE_GONE');
    await restart().configure([]);
    await restart().configure([pool]);
    assert.ok(link('br0'));
  });
});

describe('a bridge that Berth made, and the host took over', () => {
  it('is left to the host: its addresses, its MAC, and in the end the bridge', async () => {
    const net = restart();
    await net.configure([pool]);
    takeOver();
    run(['ip', 'link', 'set', 'br0', 'address', '02:11:22:33:44:55']);
    await net.repair(LINKS, () => undefined);
    await net.repair(LINKS, assert.fail);
    assert.deepEqual(addresses('br0'), ['10.0.5.1/24', UPLINK]);
    assert.equal(link('br0')?.address, '02:11:22:33:44:55');
    attach(namespaces, 'c', [{ ...leaseOf(internal, 'c', 2), bridge: 'br0' }]);
    assert.ok(reaches('10.0.5.1', namespaces.pathOf('c')));
    await restart().configure([lab]);
    assert.deepEqual(addresses('br0'), [UPLINK]);
    assert.equal(link('eth0')?.master, 'br0');
  });

  it('stays also where the host did so right before the pool went', async () => {
    await restart().configure([pool]);
    takeOver();
    await restart().configure([]);
    assert.deepEqual(addresses('br0'), [UPLINK]);
    assert.equal(link('eth0')?.master, 'br0');
    assert.equal(link('br0')?.ifalias, undefined);
  });

  it('stays where it has an address of somebody else, and nothing else', async () => {
    await restart().configure([pool]);
    run(['ip', 'addr', 'add', UPLINK, 'dev', 'br0']);
    await restart().configure([]);
    assert.deepEqual(addresses('br0'), [UPLINK]);
  });
});

describe('an address that somebody gave a bridge of ours', () => {
  it('stays, also where the gateway moves that it would go with', async () => {
    const net = restart();
    await net.configure([internal]);
    run(['ip', 'addr', 'add', '10.0.5.7/24', 'dev', 'pvbr0']);
    run(['ip', 'addr', 'add', UPLINK, 'dev', 'pvbr0']);
    await net.repair(LINKS, assert.fail);
    await restart().configure([{ ...internal, gateway: '10.0.5.254' }]);
    assert.deepEqual(addresses('pvbr0').sort(), ['10.0.5.254/24', '10.0.5.7/24', UPLINK]);
    assert.equal(link('pvbr0')?.ifalias, 'berth:pool:internal');
  });
});

describe('a bridge that Berth made and that lost its mark', () => {
  const alias = (name: string): string | undefined => link(name)?.ifalias;
  const unmark = (name: string): void => void run(['ip', 'link', 'set', name, 'alias', '']);

  it('gets it back, is made anew where it is deleted, and goes with its pool, also where net-svc was away', async () => {
    const net = restart();
    await net.configure([internal, lab]);
    unmark('pvbr0');
    const repaired: string[] = [];
    await net.repair(LINKS, (step) => repaired.push(step));
    assert.deepEqual(repaired, ['mark bridge pvbr0 again']);
    assert.equal(alias('pvbr0'), 'berth:pool:internal');
    run(['ip', 'link', 'del', 'pvbr0']);
    await net.repair(LINKS, () => undefined);
    assert.deepEqual(net.healthReasons(), []);
    unmark('pvbr0');
    await restart().configure([lab]);
    assert.equal(link('pvbr0'), undefined);
    unmark('pvbr1');
    await restart().configure([]);
    assert.equal(link('pvbr1'), undefined);
  });

  it('is the host’s where that took the mark and uses it, and what it had from Berth goes with its pool', async () => {
    await restart().configure([pool]);
    takeOver();
    unmark('br0');
    const net = restart();
    await net.configure([pool]);
    await net.repair(LINKS, assert.fail);
    assert.equal(alias('br0'), undefined);
    await restart().configure([]);
    assert.deepEqual(addresses('br0'), [UPLINK]);
  });

  it('stays the host’s that used it when its pool went, also when the host uses it no more', async () => {
    await restart().configure([pool]);
    takeOver();
    await restart().configure([]);
    run(['ip', 'link', 'set', 'eth0', 'nomaster']);
    run(['ip', 'addr', 'del', UPLINK, 'dev', 'br0']);
    await restart().configure([lab]);
    assert.deepEqual([link('br0')?.ifname, alias('br0')], ['br0', undefined]);
    run(['ip', 'link', 'del', 'br0']);
  });

  it('is somebody else’s where it is another one of that name, or has another mark', async () => {
    const net = restart();
    await net.configure([internal, lab]);
    run(['ip', 'link', 'del', 'pvbr0']);
    run(['ip', 'link', 'add', 'pvbr0', 'type', 'bridge']);
    run(['ip', 'link', 'set', 'pvbr1', 'alias', 'of the host']);
    await net.repair(LINKS, () => undefined);
    assert.deepEqual(['pvbr0', 'pvbr1'].map(alias), [undefined, 'of the host']);
    unmark('pvbr1');
    await net.repair(LINKS, assert.fail);
    await restart().configure([]);
    for (const name of ['pvbr0', 'pvbr1']) {
      assert.ok(link(name), name);
      run(['ip', 'link', 'del', name]);
    }
  });
});
