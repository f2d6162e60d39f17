// The rules of IPAM, one describe each, driven where the rule is kept: the document, ipam-svc whole over the memory bus, state-svc
// whole beside peers that remember every call. Those of a container's start and end, 7 and 9, are in container-rules.test.ts, those that
// need the kernel, 8 and 10, in kernel-rules.test.ts.
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { createJournalDisk } from '../../services/ipam-svc/journal-disk.ts';
import { createLedger } from '../../services/ipam-svc/ledger.ts';
import { formatIpv4 } from '../../shared/ipv4/address.ts';
import { ask, INTERNAL, reserve, SMALL, startIpam, withFolder, withIpam } from '../ipam-svc/kit.ts';
import { container, LAB, POOL, parse, problems, revisionOf, state, warnings } from '../revision/states.ts';
import { APP } from '../state-svc/kit.ts';
import { CONF, calls, useSettledDevices, veth } from './settled.ts';

const boot = useSettledDevices();

describe('ipam rule 1: pools are validated together, before any side effect', () => {
  it('reports every error of a document at once, each with its JSON path', () => {
    const pools = {
      text: { ...POOL, bridge: 'b0', subnet: 'ten/24' },
      bits: { ...POOL, bridge: 'b1', subnet: '10.1.5.9/24', gateway: '10.1.5.1' },
      outside: { ...POOL, bridge: 'b2', subnet: '10.2.0.0/24', gateway: '10.3.0.1' },
      network: { ...POOL, bridge: 'b3', subnet: '10.4.0.0/24', gateway: '10.4.0.0' },
      broadcast: { ...POOL, bridge: 'b4', subnet: '10.5.0.0/24', gateway: '10.5.0.255' },
      wide: { ...POOL, bridge: 'b5', subnet: '64.0.0.0/7', gateway: '64.0.0.1' },
      narrow: { ...POOL, bridge: 'b6', subnet: '10.6.0.0/31', gateway: '10.6.0.1' },
      long: { ...POOL, bridge: 'sixteen-letters0', subnet: '10.7.0.0/24', gateway: '10.7.0.1' },
      slash: { ...POOL, bridge: 'a/b', subnet: '10.8.0.0/24', gateway: '10.8.0.1' },
      dots: { ...POOL, bridge: '..', subnet: '10.9.0.0/24', gateway: '10.9.0.1' },
      type: { ...POOL, type: 'vxlan', bridge: 'b7', subnet: '10.10.0.0/24', gateway: '10.10.0.1' },
      first: { ...POOL, bridge: 'shared', subnet: '10.11.0.0/24', gateway: '10.11.0.1' },
      second: { ...POOL, bridge: 'shared', subnet: '10.11.0.128/25', gateway: '10.11.0.129' },
    };
    const found = problems(state({ 'device.json': { network: { pools } } }));
    const at = (path: string) => `device.json.network.pools.${path}`;
    assert.deepEqual([...found].sort(), [
      at('bits.subnet SUBNET_HOST_BITS'),
      at('broadcast.gateway GATEWAY_UNUSABLE'),
      at('dots.bridge BAD_BRIDGE'),
      at('long.bridge BAD_BRIDGE'),
      at('narrow.subnet BAD_PREFIX'),
      at('network.gateway GATEWAY_UNUSABLE'),
      at('outside.gateway GATEWAY_OUTSIDE'),
      at('second.bridge DUPLICATE_BRIDGE'),
      at('second.subnet OVERLAPPING_SUBNETS'),
      at('slash.bridge BAD_BRIDGE'),
      at('text.subnet BAD_SUBNET'),
      at('type.type BAD_VALUE'),
      at('wide.subnet BAD_PREFIX'),
    ]);
  });

  it('asks no service for anything when one pool is wrong', async () => {
    const it = await boot({ a: APP }, { network: { pools: { lab: LAB, internal: { ...POOL, gateway: '10.9.9.9' } } } });
    assert.deepEqual(calls(it), []);
    assert.ok(it.lines.some((line) => line.includes('device.json.network.pools.internal.gateway')));
  });
});

describe('ipam rule 2: leases are keyed by (pool, container, interface) and stay', () => {
  const configuration = { pools: [INTERNAL, SMALL], reservations: [] };

  it('gives a key its address again after a restart, in another start order, after an update and a rollback', () =>
    withFolder(async (folder) => {
      const names = ['a', 'b', 'c', 'd'];
      const first = await startIpam(createJournalDisk(folder));
      await first.client.configure(configuration);
      const given = new Map<string, string>();
      for (const name of names) given.set(name, await ask(first, INTERNAL, name));
      await first.client.allocate({ container: 'a', interfaces: [{ interface: 'eth1', pool: 'small' }] });
      await first.stop();
      const updated = { pools: [INTERNAL, SMALL], reservations: [reserve(INTERNAL, 'new', '10.0.5.77')] };
      for (const revision of [configuration, updated, configuration]) {
        const ipam = await startIpam(createJournalDisk(folder));
        await ipam.client.configure(revision);
        if (revision === updated) assert.equal(await ask(ipam, INTERNAL, 'new'), '10.0.5.77');
        for (const name of [...names].reverse()) assert.equal(await ask(ipam, INTERNAL, name), given.get(name));
        const other = { container: 'a', interfaces: [{ interface: 'eth1', pool: 'small' }] };
        const again = await ipam.client.allocate(other);
        assert.deepEqual(again.ok && again.value.leases.map(({ address, reused }) => [address, reused]), [
          ['10.0.7.2', true],
        ]);
        await ipam.stop();
      }
    }));

  it('has a lease on disk before anyone is told of it', () =>
    withIpam(async (ipam, folder) => {
      await ipam.client.configure(configuration);
      for (let index = 0; index < 20; index += 1) {
        const address = await ask(ipam, INTERNAL, `app-${index}`);
        // What a power cut at this moment would leave.
        const copy = join(folder, `cut-${index}`);
        mkdirSync(copy);
        cpSync(join(folder, 'leases.journal'), join(copy, 'leases.journal'));
        assert.match(readFileSync(join(copy, 'leases.journal'), 'utf8'), new RegExp(` app-${index} eth0 ${address} `));
        const after = await startIpam(createJournalDisk(copy));
        assert.equal(await ask(after, INTERNAL, `app-${index}`), address);
        await after.stop();
      }
    }));
});

describe('ipam rule 3: allocation', () => {
  it('gives each usable address once, lowest first, then says that the pool is exhausted; whatever the prefix and gateway', () => {
    const setup = fc.tuple(fc.integer({ min: 24, max: 30 }), fc.nat(), fc.nat()).map(([prefix, where, which]) => {
      const size = 2 ** (32 - prefix);
      return { prefix, first: 0x0a000000 + (where % 65_536) * size, size, gateway: 1 + (which % (size - 2)) };
    });
    fc.assert(
      fc.property(setup, ({ prefix, first, size, gateway }) => {
        const pool = { ...INTERNAL, subnet: `${formatIpv4(first)}/${prefix}`, gateway: formatIpv4(first + gateway) };
        const ledger = createLedger();
        assert.ok(ledger.configure({ pools: [pool], reservations: [] }, 1).ok);
        const wish = [{ interface: 'eth0', pool: pool.name }];
        for (let offset = 1; offset < size - 1; offset += 1) {
          if (offset === gateway) continue;
          const given = ledger.allocate(`app-${offset}`, wish, 1);
          assert.equal(given.ok && given.granted[0]?.lease.address, formatIpv4(first + offset));
        }
        const full = ledger.allocate('one-more', wish, 1);
        const error = { code: 'POOL_EXHAUSTED', pool: pool.name, size: size - 3, holders: size - 3 };
        assert.deepEqual(!full.ok && full.error, error);
      }),
      { numRuns: 60 },
    );
  });

  it('takes the least recently released address only when no fresh one is left', () =>
    withIpam(async (ipam) => {
      await ipam.client.configure({ pools: [SMALL], reservations: [] });
      for (const name of ['a', 'b', 'c']) await ask(ipam, SMALL, name);
      for (const name of ['c', 'a']) await ipam.client.release({ pool: 'small', container: name, interface: 'eth0' });
      const given: string[] = [];
      for (const name of ['v', 'w', 'x', 'y', 'z']) given.push(await ask(ipam, SMALL, name));
      assert.deepEqual(given, ['10.0.7.5', '10.0.7.6', '10.0.7.4', '10.0.7.2', 'POOL_EXHAUSTED']);
    }));

  it('costs the same for the last address of a /16 as for the first', () => {
    const ledger = createLedger();
    ledger.configure({ pools: [{ ...INTERNAL, subnet: '10.1.0.0/16', gateway: '10.1.255.254' }], reservations: [] }, 1);
    const fill = (from: number, to: number): number => {
      // Of the processor's time, which others on this machine do not take part in.
      const started = process.cpuUsage();
      for (let index = from; index < to; index += 1) {
        assert.ok(ledger.allocate(`c${index}`, [{ interface: 'eth0', pool: 'internal' }], 1).ok);
      }
      return process.cpuUsage(started).user / 1_000;
    };
    fill(0, 5_000);
    const early = fill(5_000, 15_000);
    fill(15_000, 55_533);
    const late = fill(55_533, 65_533);
    // A scan for each would make it 5 times; the rest is for the compiler and for garbage.
    assert.ok(late < 4 * early + 200, `${late} ms after ${early} ms`);
  });
});

describe('ipam rule 4: static reservations', () => {
  it('are reserved when the revision is loaded, before the first dynamic allocation, for whoever runs or not', () =>
    withIpam(async (ipam) => {
      const { reservations } = revisionOf(
        state(
          container('asleep', { network: { pool: 'internal', ip: '10.0.5.2' } }),
          container('twice', { network: { interfaces: [{ pool: 'internal', ipv4_address: '10.0.5.3' }] } }),
        ),
      );
      await ipam.client.configure({ pools: [INTERNAL], reservations: [...reservations] });
      assert.equal(await ask(ipam, INTERNAL, 'early'), '10.0.5.4');
      assert.equal(await ask(ipam, INTERNAL, 'thief', '10.0.5.2'), 'ADDRESS_TAKEN');
      assert.equal(await ask(ipam, INTERNAL, 'asleep', '10.0.5.2'), '10.0.5.2');
      assert.equal(await ask(ipam, INTERNAL, 'twice'), '10.0.5.3');
    }));

  it('of one’s own address are a no-op', () =>
    withIpam(async (ipam, folder) => {
      await ipam.client.configure({ pools: [INTERNAL], reservations: [reserve(INTERNAL, 'web', '10.0.5.50')] });
      await ask(ipam, INTERNAL, 'web', '10.0.5.50');
      const before = readFileSync(join(folder, 'leases.journal'), 'utf8');
      assert.equal(await ask(ipam, INTERNAL, 'web', '10.0.5.50'), '10.0.5.50');
      assert.equal(readFileSync(join(folder, 'leases.journal'), 'utf8'), before);
    }));

  it('outside the subnet, and of one address for two, are refused', () => {
    const wish = (ip: string) => ({ network: { pool: 'internal', ip } });
    assert.deepEqual(problems(state(container('a', wish('192.168.99.100')))), [
      'a/run.json.network.ip ADDRESS_OUTSIDE',
    ]);
    assert.deepEqual(problems(state(container('a', wish('10.0.5.9')), container('b', wish('10.0.5.9')))), [
      'b/run.json.network.ip ADDRESS_CONFLICT',
    ]);
  });
});

describe('ipam rule 5: legacy containers', () => {
  it('have their baked addresses reserved, however they are written', () => {
    const text = [
      '# lxc.net.0.ipv4.address = 10.0.5.99',
      '  lxc.net.0.ipv4.address=10.0.5.9/24   ',
      'lxc.net.1.ipv4.address = auto',
      'lxc.net.2.ipv4.address = dhcp',
      'lxc.net.3.ipv4.address\t=\t10.0.6.9',
      'lxc.include = more.conf',
    ].join('\n');
    const files = { [CONF]: text, 'a/more.conf': 'lxc.net.4.ipv4.address = 10.0.5.8/24\n' };
    const { reservations } = revisionOf(state(container('a'), { 'a/more.conf': 'b'.repeat(64) }), files);
    assert.deepEqual(
      reservations.map(({ pool, interface: name, address, kind }) => `${pool} ${name} ${address} ${kind}`),
      ['internal net0 10.0.5.9 legacy', 'lab net3 10.0.6.9 legacy', 'internal net4 10.0.5.8 legacy'],
    );
  });

  it('outside every pool are a debug line, on a gateway a warning', async () => {
    const outside = revisionOf(state(container('a')), { [CONF]: veth('172.16.0.2/24') });
    assert.deepEqual([outside.reservations, outside.ignored.length], [[], 1]);
    assert.deepEqual(warnings(state(container('a')), { [CONF]: veth('10.0.5.1/24') }), [`${CONF}:2 LEGACY_IS_GATEWAY`]);
    const it = await boot({ a: { ...APP, lxc: veth('172.16.0.2/24') } });
    assert.ok(it.lines.some((line) => line.startsWith('debug ') && line.includes('172.16.0.2 is in no pool')));
  });

  it('of one address, and one whose address is leased to somebody else, are clear errors', () =>
    withIpam(async (ipam) => {
      const both = { [CONF]: veth('10.0.5.9/24'), 'b/lxc.container.conf': veth('10.0.5.9/24') };
      const parsed = parse(state(container('a'), container('b')), both);
      const [problem] = parsed.ok ? [] : parsed.problems;
      assert.match(problem?.message ?? '', /10\.0\.5\.9, legacy address of 'b', is the legacy address of 'a' already/);
      await ipam.client.configure({ pools: [INTERNAL], reservations: [] });
      assert.equal(await ask(ipam, INTERNAL, 'web'), '10.0.5.2');
      const legacy = reserve(INTERNAL, 'old', '10.0.5.2', 'legacy');
      const refused = await ipam.client.configure({ pools: [INTERNAL], reservations: [legacy] });
      assert.deepEqual(!refused.ok && refused.error, {
        code: 'ADDRESS_TAKEN',
        pool: 'internal',
        container: 'old',
        interface: 'eth0',
        address: '10.0.5.2',
        holder: 'web/eth0',
      });
    }));
});

describe('ipam rule 6: MAC addresses', () => {
  const macOfFirst = async (ipam: Parameters<typeof ask>[0], name: string, mac?: string): Promise<string> => {
    const wish = { interface: 'eth0', pool: 'internal', ...(mac === undefined ? {} : { mac }) };
    const answer = await ipam.client.allocate({ container: name, interfaces: [wish] });
    return answer.ok ? (answer.value.leases[0]?.mac ?? '') : answer.error.code;
  };

  it('are 02:00: and the four octets, unless set; a set one is unique on its bridge', () =>
    withIpam(async (ipam) => {
      await ipam.client.configure({
        pools: [{ ...INTERNAL, subnet: '10.254.0.0/16', gateway: '10.254.0.1' }],
        reservations: [],
      });
      assert.equal(await macOfFirst(ipam, 'a'), '02:00:0a:fe:00:02');
      assert.equal(await macOfFirst(ipam, 'b', '02:11:22:33:44:55'), '02:11:22:33:44:55');
      assert.equal(await macOfFirst(ipam, 'c', '02:11:22:33:44:55'), 'MAC_TAKEN');
      assert.equal(await macOfFirst(ipam, 'c', '02:00:0a:fe:00:02'), 'MAC_TAKEN');
    }));

  it('are unique on a parent that two macvlan pools share', () => {
    const lan = { type: 'macvlan', parent: 'eth0', subnet: '192.0.2.0/24', gateway: '192.0.2.1' };
    const pools = { lan, guests: { ...lan, subnet: '198.51.100.0/24', gateway: '198.51.100.1' } };
    const wish = (pool: string) => ({ network: { pool, mac: '02:11:22:33:44:55' } });
    const found = problems(
      state({
        ...container('a', wish('lan')),
        ...container('b', wish('guests')),
        'device.json': { network: { pools } },
      }),
    );
    assert.deepEqual(found, ['b/run.json.network.mac MAC_CONFLICT']);
  });

  it('must be unicast', () => {
    const wish = container('a', { network: { pool: 'internal', mac: '03:11:22:33:44:55' } });
    assert.deepEqual(problems(state(wish)), ['a/run.json.network.mac BAD_MAC']);
  });
});
