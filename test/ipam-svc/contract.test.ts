import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { createJournalDisk } from '../../services/ipam-svc/journal-disk.ts';
import { ask, INTERNAL, reserve, SMALL, startIpam, TINY, withFolder, withIpam } from './kit.ts';

const configured = { ok: true, value: {} };

describe('ipam.configure', () => {
  it('refuses pools that break a rule, with every problem', () =>
    withIpam(async ({ client }) => {
      const pools = [
        { ...INTERNAL, gateway: '10.0.6.1' },
        { ...SMALL, bridge: 'pvbr0' },
      ];
      const answer = await client.configure({ pools, reservations: [reserve(TINY, 'a', '10.0.8.2')] });
      assert.ok(!answer.ok && answer.error.code === 'INVALID_POOLS');
      const codes = answer.error.problems.map(({ path, code }) => `${path} ${code}`);
      assert.deepEqual(codes, ['pools[0].gateway GATEWAY_OUTSIDE', 'pools[1].bridge DUPLICATE_BRIDGE']);
    }));

  it('refuses a reservation outside its subnet, on its gateway, in no pool, and two for one interface', () =>
    withIpam(async ({ client }) => {
      const reservations = [
        reserve(INTERNAL, 'a', '192.168.99.100'),
        reserve(INTERNAL, 'b', '10.0.5.1'),
        reserve(TINY, 'c', '10.0.8.2'),
        reserve(INTERNAL, 'd', '10.0.5.7'),
        reserve(INTERNAL, 'd', '10.0.5.8'),
      ];
      const answer = await client.configure({ pools: [INTERNAL], reservations });
      assert.ok(!answer.ok && answer.error.code === 'INVALID_POOLS');
      assert.deepEqual(
        answer.error.problems.map(({ code }) => code),
        ['ADDRESS_UNUSABLE', 'ADDRESS_UNUSABLE', 'UNKNOWN_POOL', 'TWO_ADDRESSES'],
      );
    }));

  it('refuses one address for two containers, naming the first', () =>
    withIpam(async ({ client }) => {
      const reservations = [reserve(INTERNAL, 'a', '10.0.5.7'), reserve(INTERNAL, 'b', '10.0.5.7', 'legacy')];
      const answer = await client.configure({ pools: [INTERNAL], reservations });
      assert.ok(!answer.ok && answer.error.code === 'ADDRESS_TAKEN');
      assert.deepEqual([answer.error.container, answer.error.holder], ['b', 'a/eth0']);
    }));

  it('refuses a reservation of what another container has, and changes nothing', () =>
    withIpam(async (ipam) => {
      await ipam.client.configure({ pools: [INTERNAL], reservations: [] });
      assert.equal(await ask(ipam, INTERNAL, 'first'), '10.0.5.2');
      const answer = await ipam.client.configure({ pools: [], reservations: [] });
      assert.deepEqual(answer, configured);
      const back = await ipam.client.configure({
        pools: [INTERNAL],
        reservations: [reserve(INTERNAL, 'b', '10.0.5.2')],
      });
      assert.ok(!back.ok && back.error.code === 'ADDRESS_TAKEN' && back.error.holder === 'first/eth0');
      assert.deepEqual(await ipam.client.listPools({}), { ok: true, value: { pools: [] } });
    }));

  it('warns about a legacy address on a gateway and goes on', () =>
    withIpam(async ({ client, lines }) => {
      const reservations = [reserve(INTERNAL, 'old', '10.0.5.1', 'legacy')];
      assert.deepEqual(await client.configure({ pools: [INTERNAL], reservations }), configured);
      assert.ok(
        lines.some((line) => line.includes("'old' asks for 10.0.5.1, which is the gateway of pool 'internal'")),
      );
    }));

  it('leaves no file while there are no pools', () =>
    withIpam(async ({ client }, folder) => {
      assert.deepEqual(await client.configure({ pools: [], reservations: [] }), configured);
      assert.ok(!existsSync(join(folder, 'leases.journal')));
    }));

  it('says what it added once', () =>
    withIpam(async ({ client, lines }) => {
      const params = {
        pools: [INTERNAL, { ...SMALL, nat: false }],
        reservations: [reserve(INTERNAL, 'web', '10.0.5.50')],
      };
      await client.configure(params);
      await client.configure(params);
      assert.deepEqual(lines, [
        "added pool 'internal': type=bridge, subnet=10.0.5.0/24, gateway=10.0.5.1, nat=yes",
        "added pool 'small': type=bridge, subnet=10.0.7.0/29, gateway=10.0.7.1, nat=no",
        "reserved static IP 10.0.5.50 (from web) in pool 'internal'",
      ]);
    }));
});

describe('ipam.allocate', () => {
  it('gives the whole lease, lowest address first, and says so once', () =>
    withIpam(async ({ client, lines }) => {
      await client.configure({ pools: [INTERNAL], reservations: [] });
      const wish = { container: 'my-app', interfaces: [{ interface: 'eth0', pool: 'internal' }] };
      const lease = {
        pool: 'internal',
        container: 'my-app',
        interface: 'eth0',
        address: '10.0.5.2',
        prefixLength: 24,
        gateway: '10.0.5.1',
        bridge: 'pvbr0',
        mac: '02:00:0a:00:05:02',
      };
      assert.deepEqual(await client.allocate(wish), { ok: true, value: { leases: [{ ...lease, reused: false }] } });
      assert.deepEqual(await client.allocate(wish), { ok: true, value: { leases: [{ ...lease, reused: true }] } });
      assert.deepEqual(lines.slice(1), [
        'allocated 10.0.5.2/24 to my-app from pool internal',
        'reusing existing lease for my-app: 10.0.5.2/24',
      ]);
    }));

  it('answers UNKNOWN_POOL for a pool that the revision does not define', () =>
    withIpam(async (ipam) => assert.equal(await ask(ipam, INTERNAL, 'a'), 'UNKNOWN_POOL')));

  it('answers POOL_EXHAUSTED with pool, size and holders when no address is left', () =>
    withIpam(async (ipam) => {
      await ipam.client.configure({ pools: [SMALL], reservations: [reserve(SMALL, 'asleep', '10.0.7.4')] });
      const given: string[] = [];
      for (const name of ['a', 'b', 'c', 'd']) given.push(await ask(ipam, SMALL, name));
      assert.deepEqual(given, ['10.0.7.2', '10.0.7.3', '10.0.7.5', '10.0.7.6']);
      const wish = { container: 'e', interfaces: [{ interface: 'eth0', pool: 'small' }] };
      const error = { code: 'POOL_EXHAUSTED', pool: 'small', size: 5, holders: 5 };
      assert.deepEqual(await ipam.client.allocate(wish), { ok: false, error });
    }));

  it('gives the least recently released address again when no fresh one is left', () =>
    withIpam(async (ipam) => {
      await ipam.client.configure({ pools: [SMALL], reservations: [] });
      for (const name of ['a', 'b', 'c', 'd', 'e']) await ask(ipam, SMALL, name);
      for (const container of ['d', 'b']) await ipam.client.release({ pool: 'small', container, interface: 'eth0' });
      assert.deepEqual([await ask(ipam, SMALL, 'x'), await ask(ipam, SMALL, 'y')], ['10.0.7.5', '10.0.7.3']);
      assert.equal(await ask(ipam, SMALL, 'z'), 'POOL_EXHAUSTED');
    }));

  it('honours a static address and refuses one that is held, reserved, outside or special', () =>
    withIpam(async (ipam) => {
      await ipam.client.configure({ pools: [INTERNAL], reservations: [reserve(INTERNAL, 'web', '10.0.5.50')] });
      assert.equal(await ask(ipam, INTERNAL, 'a', '10.0.5.9'), '10.0.5.9');
      assert.equal(await ask(ipam, INTERNAL, 'a', '10.0.5.9'), '10.0.5.9');
      assert.equal(await ask(ipam, INTERNAL, 'b', '10.0.5.9'), 'ADDRESS_TAKEN');
      assert.equal(await ask(ipam, INTERNAL, 'b', '10.0.5.50'), 'ADDRESS_TAKEN');
      assert.equal(await ask(ipam, INTERNAL, 'web'), '10.0.5.50');
      for (const address of ['192.168.99.100', '10.0.5.0', '10.0.5.255', '10.0.5.1']) {
        assert.equal(await ask(ipam, INTERNAL, 'c', address), 'ADDRESS_UNUSABLE', address);
      }
    }));

  it('gives all interfaces or none', () =>
    withIpam(async (ipam) => {
      await ipam.client.configure({ pools: [INTERNAL, TINY], reservations: [] });
      assert.equal(await ask(ipam, TINY, 'first'), '10.0.8.2');
      const interfaces = [
        { interface: 'eth0', pool: 'internal' },
        { interface: 'eth1', pool: 'tiny' },
      ];
      const refused = await ipam.client.allocate({ container: 'both', interfaces });
      assert.ok(!refused.ok && refused.error.code === 'POOL_EXHAUSTED');
      assert.equal(await ask(ipam, INTERNAL, 'next'), '10.0.5.2');
      await ipam.client.release({ pool: 'tiny', container: 'first', interface: 'eth0' });
      const given = await ipam.client.allocate({ container: 'both', interfaces });
      assert.deepEqual(given.ok && given.value.leases.map(({ address }) => address), ['10.0.5.3', '10.0.8.2']);
    }));

  it('keeps MACs unique on a bridge', () =>
    withIpam(async ({ client }) => {
      await client.configure({ pools: [INTERNAL], reservations: [] });
      const withMac = async (container: string, mac: string): Promise<string> => {
        const answer = await client.allocate({ container, interfaces: [{ interface: 'eth0', pool: 'internal', mac }] });
        return answer.ok ? (answer.value.leases[0]?.mac ?? '') : answer.error.code;
      };
      assert.equal(await withMac('a', '02:11:22:33:44:55'), '02:11:22:33:44:55');
      assert.equal(await withMac('b', '02:11:22:33:44:55'), 'MAC_TAKEN');
      assert.equal(await withMac('b', '02:00:0a:00:05:63'), 'MAC_TAKEN');
      assert.equal(await withMac('a', '02:11:22:33:44:66'), '02:11:22:33:44:66');
      assert.equal(await withMac('b', '02:11:22:33:44:55'), '02:11:22:33:44:55');
    }));

  it('gives two callers at once the same lease for one key, and others for others', () =>
    withIpam(async (ipam) => {
      await ipam.client.configure({ pools: [INTERNAL], reservations: [] });
      const names = Array.from({ length: 40 }, (_, index) => `app-${index >> 1}`);
      const given = await Promise.all(names.map((name) => ask(ipam, INTERNAL, name)));
      assert.equal(new Set(given).size, 20);
      for (let index = 0; index < 40; index += 2) assert.equal(given[index], given[index + 1]);
      assert.equal(ipam.lines.filter((line) => line.startsWith('allocated ')).length, 20);
    }));
});

describe('ipam over updates', () => {
  it('moves a lease to the address that a revision fixes, and back when it is rolled back', () =>
    withIpam(async (ipam) => {
      const before = { pools: [INTERNAL], reservations: [] };
      await ipam.client.configure(before);
      assert.equal(await ask(ipam, INTERNAL, 'app'), '10.0.5.2');
      await ipam.client.configure({ pools: [INTERNAL], reservations: [reserve(INTERNAL, 'app', '10.0.5.50')] });
      assert.equal(await ask(ipam, INTERNAL, 'app'), '10.0.5.50');
      assert.equal(await ask(ipam, INTERNAL, 'other'), '10.0.5.3');
      await ipam.client.configure(before);
      assert.equal(await ask(ipam, INTERNAL, 'app'), '10.0.5.2');
    }));

  it('lets two containers swap the addresses that the revision fixes', () =>
    withIpam(async (ipam) => {
      const fix = (a: string, b: string) => ({
        pools: [INTERNAL],
        reservations: [reserve(INTERNAL, 'a', a), reserve(INTERNAL, 'b', b)],
      });
      await ipam.client.configure(fix('10.0.5.10', '10.0.5.11'));
      await ask(ipam, INTERNAL, 'a');
      await ask(ipam, INTERNAL, 'b');
      assert.deepEqual(await ipam.client.configure(fix('10.0.5.11', '10.0.5.10')), configured);
      assert.deepEqual([await ask(ipam, INTERNAL, 'a'), await ask(ipam, INTERNAL, 'b')], ['10.0.5.11', '10.0.5.10']);
    }));

  it('gives new addresses in a changed subnet, and the old ones when it comes back, also over restarts', () =>
    withFolder(async (folder) => {
      const old = { pools: [INTERNAL], reservations: [] };
      const changed = { pools: [{ ...INTERNAL, subnet: '10.9.0.0/16', gateway: '10.9.0.1' }], reservations: [] };
      for (const [params, first, second] of [
        [old, '10.0.5.2', '10.0.5.3'],
        [changed, '10.9.0.2', '10.9.0.3'],
        [old, '10.0.5.2', '10.0.5.3'],
      ] as const) {
        const ipam = await startIpam(createJournalDisk(folder));
        await ipam.client.configure(params);
        assert.deepEqual([await ask(ipam, INTERNAL, 'a'), await ask(ipam, INTERNAL, 'b')], [first, second]);
        await ipam.stop();
      }
    }));

  it('keeps addresses when the subnet grows around them', () =>
    withIpam(async (ipam) => {
      await ipam.client.configure({ pools: [SMALL], reservations: [] });
      await ask(ipam, SMALL, 'a');
      assert.equal(await ask(ipam, SMALL, 'b'), '10.0.7.3');
      await ipam.client.configure({ pools: [{ ...SMALL, subnet: '10.0.7.0/24' }], reservations: [] });
      assert.equal(await ask(ipam, SMALL, 'b'), '10.0.7.3');
      assert.equal(await ask(ipam, SMALL, 'c'), '10.0.7.4');
    }));

  it('knows pools and leases after a restart before anybody configures it', () =>
    withFolder(async (folder) => {
      const first = await startIpam(createJournalDisk(folder));
      await first.client.configure({ pools: [INTERNAL], reservations: [reserve(INTERNAL, 'web', '10.0.5.3')] });
      await ask(first, INTERNAL, 'a');
      await first.stop();
      const second = await startIpam(createJournalDisk(folder));
      assert.deepEqual([await ask(second, INTERNAL, 'b'), await ask(second, INTERNAL, 'a')], ['10.0.5.4', '10.0.5.2']);
      await second.stop();
    }));
});

describe('ipam.listLeases', () => {
  it('pages through leased, released and reserved ones by pool and address', () =>
    withIpam(async (ipam) => {
      await ipam.client.configure({ pools: [SMALL, INTERNAL], reservations: [reserve(SMALL, 'asleep', '10.0.7.4')] });
      for (const name of ['a', 'b', 'c']) await ask(ipam, SMALL, name);
      await ask(ipam, INTERNAL, 'z');
      await ipam.client.release({ pool: 'small', container: 'b', interface: 'eth0' });
      const rows: string[] = [];
      let after: string | undefined;
      do {
        const page = await ipam.client.listLeases({ limit: 2, after });
        assert.ok(page.ok);
        rows.push(...page.value.leases.map((row) => `${row.pool} ${row.address} ${row.container} ${row.state}`));
        after = page.value.next;
      } while (after !== undefined);
      assert.deepEqual(rows, [
        'internal 10.0.5.2 z leased',
        'small 10.0.7.2 a leased',
        'small 10.0.7.3 b released',
        'small 10.0.7.4 asleep reserved',
        'small 10.0.7.5 c leased',
      ]);
    }));

  it('counts what a pool has and may have', () =>
    withIpam(async (ipam) => {
      await ipam.client.configure({ pools: [SMALL], reservations: [] });
      await ask(ipam, SMALL, 'a');
      assert.deepEqual(await ipam.client.listPools({}), {
        ok: true,
        value: { pools: [{ ...SMALL, size: 5, leased: 1 }] },
      });
      assert.deepEqual(await ipam.client.release({ pool: 'small', container: 'nobody', interface: 'eth0' }), {
        ok: true,
        value: { released: false },
      });
    }));
});
