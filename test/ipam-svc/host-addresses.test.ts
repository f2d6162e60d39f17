// Addresses that the machine itself has on a macvlan's parent belong to nobody.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createLedger, type Ledger } from '../../services/ipam-svc/ledger.ts';
import type { Pool } from '../../shared/schema/network.ts';
import { reserve, SMALL } from './kit.ts';

const lan = (...hostAddresses: string[]): Pool => ({
  ...SMALL,
  type: 'macvlan',
  bridge: 'eth0',
  nat: false,
  hostAddresses,
});

function ledgerOf(pool: Pool): Ledger {
  const ledger = createLedger();
  assert.ok(ledger.configure({ pools: [pool], reservations: [] }, 0).ok);
  return ledger;
}

function allocate(ledger: Ledger, container: string, address?: string): string {
  const wish = { interface: 'eth0', pool: SMALL.name, address };
  const answer = ledger.allocate(container, [wish], 0);
  return answer.ok ? (answer.granted[0]?.lease.address ?? '') : JSON.stringify(answer.error);
}

describe('ipam.allocate in a macvlan pool', () => {
  it('never gives the machine’s own addresses, and counts them as none of the pool’s', () => {
    const ledger = ledgerOf(lan('10.0.7.2', '10.0.7.4', '10.0.7.1', '192.0.2.9'));
    assert.deepEqual(
      ['a', 'b', 'c'].map((name) => allocate(ledger, name)),
      ['10.0.7.3', '10.0.7.5', '10.0.7.6'],
    );
    assert.equal(allocate(ledger, 'd'), '{"code":"POOL_EXHAUSTED","pool":"small","size":3,"holders":3}');
  });

  it('refuses one that is asked for, and says whose it is', () => {
    const pool = lan('10.0.7.2');
    const reservations = [reserve(pool, 'a', '10.0.7.2')];
    const answer = createLedger().configure({ pools: [pool], reservations }, 0);
    assert.ok(!answer.ok && answer.error.code === 'INVALID_POOLS');
    assert.match(answer.error.problems[0]?.message ?? '', /which is an address of this machine on 'eth0'$/);
    assert.match(allocate(ledgerOf(pool), 'a', '10.0.7.2'), /ADDRESS_UNUSABLE.*address of this machine on 'eth0'/);
  });

  it('takes one that is kept for a container to come back as nobody’s', () => {
    const pool = lan('10.0.7.2');
    const configuration = {
      pools: [pool],
      reservations: [reserve(pool, 'gone', '10.0.7.2')],
      interfaces: { small: { 'a/eth0': null } },
    };
    const ledger = createLedger();
    assert.ok(ledger.configure(configuration, 0).ok);
    assert.equal(allocate(ledger, 'a'), '10.0.7.3');
  });

  it('moves a container whose address the machine has by now', () => {
    const ledger = ledgerOf(lan());
    assert.equal(allocate(ledger, 'a'), '10.0.7.2');
    assert.ok(ledger.configure({ pools: [lan('10.0.7.2')], reservations: [] }, 1).ok);
    assert.equal(allocate(ledger, 'a'), '10.0.7.3');
  });
});
