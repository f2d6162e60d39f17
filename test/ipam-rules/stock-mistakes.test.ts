// What the stock runtime, and the teaching runtime Sheep, get wrong about addresses; each is right here.
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { beforeEach, describe, it } from 'node:test';
import { createJournalDisk } from '../../services/ipam-svc/journal-disk.ts';
import { attach } from '../../services/net-svc/attachments.ts';
import { detach } from '../../services/net-svc/detachments.ts';
import { createNat } from '../../services/net-svc/nat.ts';
import { iptables, nftables } from '../../services/net-svc/nat-command.ts';
import { openNamespaces } from '../../services/net-svc/netns.ts';
import { ask, INTERNAL, reserve, SMALL, startIpam, withFolder, withIpam } from '../ipam-svc/kit.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { bareHost } from '../net-svc/bare-host.ts';
import { internal, lab, leaseOf, link, run } from '../net-svc/kernel.ts';
import { container, LAB, POOL, problems, revisionOf, state } from '../revision/states.ts';
import { createDevice, POOL as DEVICE_POOL, stateOf, writeRevision } from '../state-svc/device.ts';

reexecInNamespaces(import.meta.filename);

const dir = '/run/berth/netns';
mkdirSync(dir, { recursive: true });
const namespaces = openNamespaces(dir);
const startNet = () => bareHost(createNat([nftables, iptables], [nftables, iptables], `${dir}/.nat`));
const veth = (address: string) => `lxc.net.0.type = veth\nlxc.net.0.ipv4.address = ${address}\n`;

beforeEach(async () => {
  for (const name of namespaces.list()) detach(namespaces, name);
  await startNet().configure([]);
});

describe('what stock gets wrong', () => {
  it('leases live in memory: here a reboot and another start order change no address', () =>
    withFolder(async (folder) => {
      const names = ['web', 'db', 'mail'];
      const boot = async (order: readonly string[]): Promise<readonly string[]> => {
        const ipam = await startIpam(createJournalDisk(folder));
        await ipam.client.configure({ pools: [INTERNAL], reservations: [] });
        const given = new Map<string, string>();
        for (const name of order) given.set(name, await ask(ipam, INTERNAL, name));
        await ipam.stop();
        return names.map((name) => given.get(name) ?? '');
      };
      const first = await boot(names);
      assert.deepEqual(await boot([...names].reverse()), first);
      assert.deepEqual(await boot(['mail', 'web', 'newcomer', 'db']), first);
    }));

  it('the cursor never wraps: here 100 rounds of a pool of five lose no address', () =>
    withIpam(async (ipam) => {
      await ipam.client.configure({ pools: [SMALL], reservations: [] });
      for (let round = 0; round < 100; round += 1) {
        const given = new Set<string>();
        for (let each = 0; each < 5; each += 1) given.add(await ask(ipam, SMALL, `c${round}-${each}`));
        assert.equal(given.size, 5);
        assert.equal(await ask(ipam, SMALL, 'one-more'), 'POOL_EXHAUSTED');
        for (let each = 0; each < 5; each += 1) {
          await ipam.client.release({ pool: 'small', container: `c${round}-${each}`, interface: 'eth0' });
        }
      }
    }));

  it('restarting a container with a static address fails on its own lease: here it is its own', () =>
    withIpam(async (ipam) => {
      await ipam.client.configure({ pools: [INTERNAL], reservations: [reserve(INTERNAL, 'web', '10.0.5.50')] });
      for (let start = 0; start < 3; start += 1)
        assert.equal(await ask(ipam, INTERNAL, 'web', '10.0.5.50'), '10.0.5.50');
    }));

  it('a static address is taken by an earlier dynamic container: here it is reserved before the first start', () =>
    withIpam(async (ipam) => {
      await ipam.client.configure({ pools: [INTERNAL], reservations: [reserve(INTERNAL, 'late', '10.0.5.2')] });
      assert.equal(await ask(ipam, INTERNAL, 'early'), '10.0.5.3');
      assert.equal(await ask(ipam, INTERNAL, 'late', '10.0.5.2'), '10.0.5.2');
    }));

  it('overlapping pools, a gateway outside the subnet and unknown types are accepted: here each is an error', () => {
    const pools = (changes: object) =>
      problems(state({ 'device.json': { network: { pools: { internal: POOL, lab: { ...LAB, ...changes } } } } }));
    const at = 'device.json.network.pools.lab';
    assert.deepEqual(pools({ subnet: '10.0.0.0/16', gateway: '10.0.6.1' }), [`${at}.subnet OVERLAPPING_SUBNETS`]);
    assert.deepEqual(pools({ gateway: '10.0.7.1' }), [`${at}.gateway GATEWAY_OUTSIDE`]);
    assert.deepEqual(pools({ type: 'wormhole' }), [`${at}.type BAD_VALUE`]);
  });

  it('one NAT rule more on every restart: here ten restarts leave one', async () => {
    for (let restart = 0; restart < 10; restart += 1) await startNet().configure([internal]);
    assert.equal(run(['nft', 'list', 'ruleset']).match(/masquerade/g)?.length, 1);
  });

  it('the bridge name goes through a shell: here it is a name or refused', () => {
    for (const bridge of ['br0; reboot', 'br0 up', '$(id)', 'a`id`', '../br0', 'br0\nbr1', "br'0"]) {
      const pools = { internal: { ...POOL, bridge } };
      assert.deepEqual(problems(state({ 'device.json': { network: { pools } } })), [
        'device.json.network.pools.internal.bridge BAD_BRIDGE',
      ]);
    }
  });

  it('legacy addresses are scanned at boot only: here with every revision that is loaded', async () => {
    const device = await createDevice({ old: { group: 'app' } }, { network: { pools: { internal: DEVICE_POOL } } });
    try {
      await (await device.boot()).settled;
      const deviceJson = { network: { pools: { internal: DEVICE_POOL } } };
      await writeRevision(
        device.storage,
        '0',
        stateOf({ old: { group: 'app', lxc: veth('10.0.5.9/24') } }, deviceJson),
      );
      await (await device.boot()).settled;
      assert.deepEqual(
        device.world.reservations.map(({ container: name, address, kind }) => `${name} ${address} ${kind}`),
        ['old 10.0.5.9 legacy'],
      );
    } finally {
      await device.close();
    }
  });

  it('two legacy containers with one address are accepted silently: here they are a conflict', () => {
    const files = { 'a/lxc.container.conf': veth('10.0.5.9/24'), 'b/lxc.container.conf': veth('10.0.5.9') };
    assert.deepEqual(problems(state(container('a'), container('b')), files), [
      'b/lxc.container.conf:2 ADDRESS_CONFLICT',
    ]);
    const other = { ...files, 'b/lxc.container.conf': veth('10.0.5.8') };
    assert.equal(revisionOf(state(container('a'), container('b')), other).reservations.length, 2);
  });

  it("the bridge's MAC changes as containers come and go: here 100 of them leave it as it was", async () => {
    await startNet().configure([{ ...lab, nat: false }]);
    const mac = link('pvbr1')?.address;
    for (let round = 0; round < 100; round += 1) {
      // Lower than the bridge's, which is when the kernel would take it over.
      attach(namespaces, 'c', [{ ...leaseOf(lab, 'c', 2), mac: `02:00:00:00:00:${(round % 90) + 10}` }]);
      assert.equal(link('pvbr1')?.address, mac);
      detach(namespaces, 'c');
    }
    assert.equal(link('pvbr1')?.address, mac);
  });
});

describe('what Sheep lists as its limits', () => {
  it('addresses are never reused: here released ones are, least recently released first', () =>
    withIpam(async (ipam) => {
      await ipam.client.configure({ pools: [SMALL], reservations: [] });
      for (const name of ['a', 'b', 'c', 'd', 'e']) await ask(ipam, SMALL, name);
      for (const name of ['b', 'a']) await ipam.client.release({ pool: 'small', container: name, interface: 'eth0' });
      assert.deepEqual([await ask(ipam, SMALL, 'x'), await ask(ipam, SMALL, 'y')], ['10.0.7.3', '10.0.7.2']);
    }));

  it('every step forks ip and nsenter: here plumbing a container starts no process', async () => {
    await startNet().configure([{ ...lab, nat: false }]);
    // The kernel counts every clone(2) of the machine, but only in this pid namespace are pids given in a row.
    const nextPid = (): number => Number(readFileSync('/proc/sys/kernel/ns_last_pid', 'utf8'));
    const threads = (): number => readdirSync('/proc/self/task').length;
    attach(namespaces, 'warm', [leaseOf(lab, 'warm', 3)]);
    const before = { pid: nextPid(), threads: threads() };
    attach(namespaces, 'c', [leaseOf(lab, 'c', 2)]);
    detach(namespaces, 'c');
    assert.deepEqual({ pid: nextPid(), threads: threads() }, before);
  });
});
