// NAT of pools, by either back end or none, and the forwarding that it needs.
import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { attach } from '../../services/net-svc/attachments.ts';
import { iptables, type NatBackend, nftables } from '../../services/net-svc/nat-command.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { clear, FORWARD, makeOutside, missing, namespaces, restart } from './host.ts';
import { internal, lab, leaseOf, link, pings, reaches, run } from './kernel.ts';

reexecInNamespaces(import.meta.filename);

const broken = missing('nftables', 'nft: not installed');

beforeEach(clear);

for (const backend of [nftables, iptables]) {
  describe(`NAT through ${backend.name}`, () => {
    it('lets a pool with NAT reach the outside, and one without not; one rule after any number of restarts', async () => {
      const outside = makeOutside();
      for (let start = 0; start < 3; start++) {
        const net = restart([backend]);
        assert.equal((await net.configure([internal, lab])).nat, backend.name);
        assert.equal(net.lines.includes(`setup NAT (${backend.name}) for pool internal`), start === 0);
      }
      attach(namespaces, 'c', [leaseOf(internal, 'c', 2)]);
      attach(namespaces, 'd', [leaseOf(lab, 'd', 2)]);
      assert.ok(reaches(outside, namespaces.pathOf('c')));
      assert.ok(!pings(outside, namespaces.pathOf('d')));
      assert.ok(reaches('10.0.6.1', namespaces.pathOf('d')));
      assert.equal(run(['nft', 'list', 'ruleset']).match(/masquerade/g)?.length, 1);
    });

    it('leaves nothing of itself when the other one takes over', async () => {
      await restart([backend]).configure([internal]);
      const other = backend === nftables ? iptables : nftables;
      assert.equal((await restart([other]).configure([internal])).nat, other.name);
      assert.equal(run(['nft', 'list', 'ruleset']).match(/masquerade/g)?.length, 1);
      await restart([other]).configure([]);
      assert.doesNotMatch(run(['nft', 'list', 'ruleset']), /masquerade|berth|BERTH/);
    });
  });
}

describe('NAT that does not work', () => {
  it('falls back to the next back end', async () => {
    const net = restart([broken, iptables]);
    assert.equal((await net.configure([internal])).nat, 'iptables');
    assert.deepEqual(net.healthReasons(), []);
    assert.ok(net.lines.some((line) => line.includes('setup NAT (iptables) for pool internal')));
  });

  it('is tried again after a while, although nothing changed', async () => {
    let tries = 0;
    const busy: NatBackend = {
      ...nftables,
      apply: async (rules) => {
        tries += 1;
        return tries < 3 ? { kind: 'failed', reason: 'nft: timed out' } : nftables.apply(rules);
      },
    };
    const net = restart([busy], 20);
    assert.equal((await net.configure([internal])).nat, 'unavailable');
    await eventually('NAT', PATIENCE_MS, () => net.healthReasons().length === 0);
    assert.equal(run(['nft', 'list', 'ruleset']).match(/masquerade/g)?.length, 1);
    assert.ok(net.lines.includes('set up NAT (nftables)'));
    assert.equal(tries, 3);
  });

  it('is unavailable, warned of and a health reason when none is left; local traffic works', async () => {
    const net = restart([broken]);
    assert.equal((await net.configure([internal, lab])).nat, 'unavailable');
    assert.deepEqual(
      net.healthReasons().map(({ code, subject }) => ({ code, subject })),
      [{ code: 'NAT_UNAVAILABLE', subject: 'pool internal' }],
    );
    assert.ok(net.lines.some((line) => line.startsWith('no NAT for pool internal')));
    attach(namespaces, 'c', [leaseOf(internal, 'c', 2)]);
    assert.ok(reaches('10.0.5.1', namespaces.pathOf('c')));
    await net.configure([lab]);
    assert.deepEqual(net.healthReasons(), []);
  });
});

describe('forwarding that cannot be switched on', () => {
  it('is warned of and a health reason; the rest is there', async () => {
    run(['mount', '--bind', FORWARD, FORWARD]);
    run(['mount', '-o', 'remount,bind,ro', FORWARD]);
    const net = restart();
    assert.equal((await net.configure([internal])).nat, 'nftables');
    run(['umount', FORWARD]);
    assert.deepEqual(
      net.healthReasons().map(({ code }) => code),
      ['FORWARDING_OFF'],
    );
    assert.ok(net.lines.some((line) => /ip_forward: EROFS/.test(line)));
    assert.ok(link('pvbr0'));
    await net.configure([internal]);
    assert.deepEqual(net.healthReasons(), []);
  });
});
