// What an update takes from a container that it no longer has, or gives something else, and what a rollback gives back.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createJournalDisk } from '../../services/ipam-svc/journal-disk.ts';
import { ask, INTERNAL, outcome, type Running, reserve, startIpam, withFolder, withIpam } from './kit.ts';

const configured = { ok: true, value: {} };

/** One interface `eth0` of each container in the pool, with the MAC that the revision gives it. */
const interfacesOf = (macs: Readonly<Record<string, string | null>>) => ({
  internal: Object.fromEntries(Object.entries(macs).map(([container, mac]) => [`${container}/eth0`, mac])),
});

describe('ipam over updates that move what a container had', () => {
  const [M1, M2] = ['02:11:22:33:44:55', '02:11:22:33:44:66'];
  const revisionOf = (
    macs: Readonly<Record<string, string | null>>,
    ...reservations: readonly ReturnType<typeof reserve>[]
  ) => ({ pools: [INTERNAL], reservations: [...reservations], interfaces: interfacesOf(macs) });
  const given = async ({ client }: Running, container: string, mac?: string, name = 'eth0'): Promise<string> => {
    const wish = { interface: name, pool: 'internal', ...(mac === undefined ? {} : { mac }) };
    const answer = await client.allocate({ container, interfaces: [wish] });
    const [lease] = answer.ok ? answer.value.leases : [];
    return lease === undefined ? outcome(answer) : `${lease.address} ${lease.mac}`;
  };
  const restarted = async (folder: string, ipam: Running): Promise<Running> => {
    await ipam.stop();
    return await startIpam(createJournalDisk(folder));
  };

  it('gives the MAC of a container that was renamed to the new one, and back with its address, also over restarts', () =>
    withFolder(async (folder) => {
      let ipam = await startIpam(createJournalDisk(folder));
      assert.deepEqual(await ipam.client.configure(revisionOf({ before: M1 })), configured);
      assert.equal(await given(ipam, 'before', M1), `10.0.5.2 ${M1}`);
      assert.deepEqual(await ipam.client.configure(revisionOf({ after: M1 })), configured);
      ipam = await restarted(folder, ipam);
      assert.equal(await given(ipam, 'after', M1), `10.0.5.3 ${M1}`);
      ipam = await restarted(folder, ipam);
      assert.equal(await given(ipam, 'after', M1), `10.0.5.3 ${M1}`);
      assert.deepEqual(await ipam.client.configure(revisionOf({ before: M1 })), configured);
      ipam = await restarted(folder, ipam);
      assert.equal(await given(ipam, 'before', M1), `10.0.5.2 ${M1}`);
      await ipam.stop();
    }));

  it('has a MAC once: who had it before keeps its address with a MAC of its own, and takes nothing along when it goes', () =>
    withIpam(async (ipam) => {
      const macOf = async (container: string): Promise<string | undefined> => {
        const answer = await ipam.client.listLeases({ limit: 10 });
        return answer.ok ? answer.value.leases.find((lease) => lease.container === container)?.mac : undefined;
      };
      await ipam.client.configure(revisionOf({ before: M1 }));
      assert.equal(await given(ipam, 'before', M1), `10.0.5.2 ${M1}`);
      await ipam.client.configure(revisionOf({ after: M1, third: null }));
      assert.equal(await given(ipam, 'after', M1), `10.0.5.3 ${M1}`);
      assert.deepEqual([await macOf('before'), await macOf('after')], ['02:00:0a:00:05:02', M1]);
      await ipam.client.release({ pool: 'internal', container: 'before', interface: 'eth0' });
      assert.equal(await given(ipam, 'third', M1), 'MAC_TAKEN');
    }));

  it('gives a MAC to another interface of the same container', () =>
    withIpam(async (ipam) => {
      await ipam.client.configure(revisionOf({ app: M1 }));
      assert.equal(await given(ipam, 'app', M1), `10.0.5.2 ${M1}`);
      const renamed = { pools: [INTERNAL], reservations: [], interfaces: { internal: { 'app/lan0': M1 } } };
      assert.deepEqual(await ipam.client.configure(renamed), configured);
      assert.equal(await given(ipam, 'app', M1, 'lan0'), `10.0.5.3 ${M1}`);
    }));

  for (const order of [
    ['a', 'b'],
    ['b', 'a'],
  ] as const) {
    it(`lets two containers swap their MACs, ${order[0]} first`, () =>
      withIpam(async (ipam) => {
        await ipam.client.configure(revisionOf({ a: M1, b: M2 }));
        assert.equal(await given(ipam, 'a', M1), `10.0.5.2 ${M1}`);
        assert.equal(await given(ipam, 'b', M2), `10.0.5.3 ${M2}`);
        const swapped: Readonly<Record<string, string>> = { a: M2, b: M1 };
        await ipam.client.configure(revisionOf(swapped));
        for (const name of order)
          assert.equal(await given(ipam, name, swapped[name]), `10.0.5.${name === 'a' ? 2 : 3} ${swapped[name]}`);
        for (const name of order) assert.match(await given(ipam, name, swapped[name]), new RegExp(`${swapped[name]}$`));
      }));
  }

  it('refuses a MAC that the revision gives to another', () =>
    withIpam(async (ipam) => {
      await ipam.client.configure(revisionOf({ a: M1, b: null }));
      assert.equal(await given(ipam, 'a', M1), `10.0.5.2 ${M1}`);
      assert.equal(await given(ipam, 'b', M1), 'MAC_TAKEN');
      await ipam.client.configure(revisionOf({ a: null, b: M1 }));
      assert.equal(await given(ipam, 'b', M1), `10.0.5.3 ${M1}`);
      assert.equal(await given(ipam, 'a'), '10.0.5.2 02:00:0a:00:05:02');
    }));

  it('fixes an address that a container had which is gone, and gives it back when that comes back, also over restarts', () =>
    withFolder(async (folder) => {
      let ipam = await startIpam(createJournalDisk(folder));
      const before = revisionOf({ gone: null, other: null });
      await ipam.client.configure(before);
      assert.deepEqual(
        [await ask(ipam, INTERNAL, 'gone'), await ask(ipam, INTERNAL, 'other')],
        ['10.0.5.2', '10.0.5.3'],
      );
      const fixed = reserve(INTERNAL, 'fresh', '10.0.5.2');
      const refused = await ipam.client.configure(revisionOf({ gone: null, fresh: null }, fixed));
      assert.ok(!refused.ok && refused.error.code === 'ADDRESS_TAKEN', 'the revision has both');
      assert.deepEqual(await ipam.client.configure(revisionOf({ other: null, fresh: null }, fixed)), configured);
      assert.equal(await ask(ipam, INTERNAL, 'fresh'), '10.0.5.2');
      ipam = await restarted(folder, ipam);
      assert.deepEqual(await ipam.client.configure(before), configured);
      assert.deepEqual(
        [await ask(ipam, INTERNAL, 'other'), await ask(ipam, INTERNAL, 'new')],
        ['10.0.5.3', '10.0.5.4'],
      );
      assert.equal(await ask(ipam, INTERNAL, 'gone'), '10.0.5.2');
      assert.equal(await ask(ipam, INTERNAL, 'fresh'), '10.0.5.5');
      await ipam.stop();
    }));

  for (const isStarted of [true, false]) {
    it(`gives it back also while it is kept for the one to come back to, which was ${isStarted ? 'started' : 'never started'}`, () =>
      withIpam(async (ipam) => {
        const fixed = reserve(INTERNAL, 'fresh', '10.0.5.2');
        const before = revisionOf({ gone: null, other: null }, fixed);
        await ipam.client.configure(revisionOf({ gone: null, other: null }));
        assert.equal(await ask(ipam, INTERNAL, 'gone'), '10.0.5.2');
        await ipam.client.configure(revisionOf({ other: null, fresh: null }, fixed));
        if (isStarted) assert.equal(await ask(ipam, INTERNAL, 'fresh'), '10.0.5.2');
        assert.deepEqual(await ipam.client.configure(before), configured);
        assert.equal(await ask(ipam, INTERNAL, 'other'), '10.0.5.3');
        assert.equal(await ask(ipam, INTERNAL, 'gone'), '10.0.5.2');
        const again = revisionOf({ gone: null }, fixed);
        assert.deepEqual(await ipam.client.configure(again), configured);
        assert.equal(await ask(ipam, INTERNAL, 'gone'), '10.0.5.2');
        assert.deepEqual(await ipam.client.configure(revisionOf({ fresh: null }, fixed)), configured);
        assert.equal(await ask(ipam, INTERNAL, 'fresh'), '10.0.5.2');
      }));
  }

  it('takes a gateway that is the address kept for a container to come back, and gives it that with its old gateway', () =>
    withIpam(async (ipam) => {
      const fixed = reserve(INTERNAL, 'gone', '10.0.5.254');
      const before = revisionOf({ gone: null }, fixed);
      const moved = { ...revisionOf({ other: null }, fixed), pools: [{ ...INTERNAL, gateway: '10.0.5.254' }] };
      await ipam.client.configure(before);
      assert.equal(await ask(ipam, INTERNAL, 'gone'), '10.0.5.254');
      assert.deepEqual(await ipam.client.configure(moved), configured);
      assert.ok(ipam.lines.some((line) => line.includes("'gone' asks for 10.0.5.254, which is the gateway")));
      assert.equal(await ask(ipam, INTERNAL, 'other'), '10.0.5.1');
      const refused = await ipam.client.configure({ ...moved, interfaces: interfacesOf({ gone: null, other: null }) });
      assert.ok(!refused.ok && refused.error.code === 'INVALID_POOLS', 'the revision has it');
      assert.deepEqual(await ipam.client.configure(before), configured);
      assert.equal(await ask(ipam, INTERNAL, 'gone'), '10.0.5.254');
    }));
});
