// A configuration in parts, as a real ipam-svc takes it.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createPreparedParts, joined } from '../../services/ipam-svc/prepared-parts.ts';
import { ask, INTERNAL, reserve, withIpam } from './kit.ts';

const A = reserve(INTERNAL, 'a', '10.0.5.10');
const B = reserve(INTERNAL, 'b', '10.0.5.11');

describe('ipam.prepare', () => {
  it('comes before what is configured, in the order of the parts', () => {
    const parts = createPreparedParts();
    parts.add(1, 1, { reservations: [B], interfaces: { internal: { 'b/eth0': null } } });
    parts.add(1, 0, { reservations: [A] });
    parts.add(1, 0, { reservations: [A], interfaces: { internal: { 'a/eth0': null } } });
    assert.deepEqual(joined(parts.take(1, 2) ?? []), {
      reservations: [A, B],
      interfaces: { internal: { 'a/eth0': null, 'b/eth0': null } },
    });
    assert.equal(parts.take(1, 2), undefined, 'they are taken once');
  });

  it('says nothing of interfaces where no part does', () => {
    assert.deepEqual(joined([{ reservations: [A] }, { reservations: [] }]), { reservations: [A] });
    assert.deepEqual(joined([{ reservations: [], interfaces: {} }]), { reservations: [], interfaces: {} });
  });

  it('gives way to another set', () => {
    const parts = createPreparedParts();
    parts.add(1, 0, { reservations: [A] });
    parts.add(2, 1, { reservations: [B] });
    assert.equal(parts.take(2, 2), undefined);
    parts.add(1, 0, { reservations: [A] });
    assert.equal(parts.take(2, 1), undefined);
  });

  it('holds for allocations as if it had been told at once, and has to be told anew after it was taken', () =>
    withIpam(async ({ client, ...ipam }) => {
      const prepared = { set: 7, count: 2 };
      const interfaces = { internal: { 'a/eth0': null, 'b/eth0': null } };
      await client.prepare({ set: 7, index: 0, reservations: [A] });
      await client.prepare({ set: 7, index: 1, reservations: [B], interfaces });
      const told = { pools: [INTERNAL], reservations: [], prepared };
      assert.deepEqual(await client.configure(told), { ok: true, value: {} });
      assert.equal(await ask({ client, ...ipam }, INTERNAL, 'b', '10.0.5.11'), '10.0.5.11');
      assert.equal(await ask({ client, ...ipam }, INTERNAL, 'c', '10.0.5.10'), 'ADDRESS_TAKEN');
      assert.deepEqual(await client.configure(told), { ok: false, error: { code: 'PARTS_MISSING' } });
      assert.equal(await ask({ client, ...ipam }, INTERNAL, 'a', '10.0.5.10'), '10.0.5.10');
    }));

  it('may be wrong in more ways than a message holds', () =>
    withIpam(async ({ client }) => {
      const outside = (part: number) =>
        Array.from({ length: 500 }, (_, index) =>
          reserve(INTERNAL, `c${part}-${index}`, `10.9.${part}.${index & 255}`),
        );
      for (const index of [0, 1, 2]) await client.prepare({ set: 1, index, reservations: outside(index) });
      const answer = await client.configure({ pools: [INTERNAL], reservations: [], prepared: { set: 1, count: 3 } });
      assert.ok(!answer.ok && answer.error.code === 'INVALID_POOLS');
      assert.equal(answer.error.problems.length, 64);
    }));
});
