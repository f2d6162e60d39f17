import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { attach, listAttachments } from '../../services/net-svc/attachments.ts';
import { detach } from '../../services/net-svc/detachments.ts';
import { hostInterfaceName } from '../../services/net-svc/link-names.ts';
import { NetFailure } from '../../services/net-svc/net-failure.ts';
import { openNamespaces } from '../../services/net-svc/netns.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { failsAt, useNamespaces } from './attach-rig.ts';
import { addresses, defaultRoutes, internal, lab, leaseOf, link, links, reaches, run } from './kernel.ts';
import { quiet, watchNetwork } from './watchers.ts';

reexecInNamespaces(import.meta.filename);

const { dir, namespaces, netnsOf, hostState } = useNamespaces();
const home = readlinkSync('/proc/thread-self/ns/net');
const HAS_IPV6 = existsSync('/proc/net/if_inet6');

describe('net.attach', () => {
  it('gives a container its interface as ip(8) sees it', () => {
    const attachment = attach(namespaces, 'web', [leaseOf(internal, 'web', 2)]);
    const hostName = hostInterfaceName('web', 'eth0');
    assert.deepEqual(attachment, {
      container: 'web',
      netns: netnsOf('web'),
      interfaces: [{ interface: 'eth0', hostInterface: hostName }],
    });
    const inside = link('eth0', netnsOf('web'));
    assert.equal(inside?.address, '02:00:0a:00:05:02');
    assert.ok(inside?.flags.includes('UP'));
    assert.ok(link('lo', netnsOf('web'))?.flags.includes('UP'));
    assert.deepEqual(addresses('eth0', netnsOf('web')), ['10.0.5.2/24']);
    assert.deepEqual(defaultRoutes(netnsOf('web')), [{ gateway: '10.0.5.1', dev: 'eth0' }]);
    const outside = link(hostName);
    assert.equal(outside?.master, 'pvbr0');
    assert.equal(outside?.ifalias, 'berth:web/eth0');
    assert.ok(outside?.flags.includes('UP'));
  });

  it('makes no queues that the kernel would have to take back at once', () => {
    attach(namespaces, 'web', [leaseOf(internal, 'web', 2)]);
    const queuesOf = (name: string, netns?: string): { num_tx_queues: number; num_rx_queues: number }[] =>
      JSON.parse(run(['ip', '-j', '-d', 'link', 'show', name], netns));
    for (const [queues] of [queuesOf(hostInterfaceName('web', 'eth0')), queuesOf('eth0', netnsOf('web'))]) {
      assert.deepEqual([queues?.num_tx_queues, queues?.num_rx_queues], [1, 1]);
    }
  });

  it('gives the host side no IPv6 address of its own, which nobody would ever use', { skip: !HAS_IPV6 }, () => {
    attach(namespaces, 'web', [leaseOf(internal, 'web', 2)]);
    const [outside] = JSON.parse(run(['ip', '-j', '-d', 'link', 'show', hostInterfaceName('web', 'eth0')]));
    assert.equal(outside.inet6_addr_gen_mode, 'none');
    const [inside] = JSON.parse(run(['ip', '-j', '-d', 'link', 'show', 'eth0'], netnsOf('web')));
    assert.equal(inside.inet6_addr_gen_mode, 'eui64');
  });

  it('attaches where IPv6 is switched off', { skip: !HAS_IPV6 }, () => {
    const setting = '/proc/sys/net/ipv6/conf/default/disable_ipv6';
    writeFileSync(setting, '1');
    try {
      attach(namespaces, 'web', [leaseOf(internal, 'web', 2)]);
      assert.equal(link(hostInterfaceName('web', 'eth0'))?.ifalias, 'berth:web/eth0');
      assert.ok(reaches('10.0.5.1', netnsOf('web')));
    } finally {
      writeFileSync(setting, '0');
    }
  });

  it('lets containers of a pool and the gateway reach each other', () => {
    attach(namespaces, 'a', [leaseOf(internal, 'a', 2)]);
    attach(namespaces, 'b', [leaseOf(internal, 'b', 3)]);
    assert.ok(reaches('10.0.5.3', netnsOf('a')));
    assert.ok(reaches('10.0.5.2', netnsOf('b')));
    assert.ok(reaches('10.0.5.1', netnsOf('a')));
  });

  it('attaches several interfaces and routes by the first', () => {
    attach(namespaces, 'two', [leaseOf(internal, 'two', 2), leaseOf(lab, 'two', 9, 'lab0')]);
    assert.deepEqual(addresses('eth0', netnsOf('two')), ['10.0.5.2/24']);
    assert.deepEqual(addresses('lab0', netnsOf('two')), ['10.0.6.9/24']);
    assert.deepEqual(defaultRoutes(netnsOf('two')), [{ gateway: '10.0.5.1', dev: 'eth0' }]);
    assert.equal(link(hostInterfaceName('two', 'lab0'))?.master, 'pvbr1');
    assert.ok(reaches('10.0.6.1', netnsOf('two')));
  });

  it('changes nothing the second time', async () => {
    const leases = [leaseOf(internal, 'same', 2), leaseOf(lab, 'same', 3, 'eth1')];
    const first = attach(namespaces, 'same', leases);
    await quiet();
    const watchers = [await watchNetwork(), await watchNetwork(netnsOf('same'))];
    assert.deepEqual(attach(namespaces, 'same', leases), first);
    for (const watcher of watchers) assert.deepEqual(await watcher.changes(), []);
  });

  it('repairs only what differs', async () => {
    const leases = [leaseOf(internal, 'fix', 2)];
    attach(namespaces, 'fix', leases);
    const netns = netnsOf('fix');
    const index = link('eth0', netns)?.ifindex;
    run(['ip', 'addr', 'flush', 'dev', 'eth0'], netns);
    run(['ip', 'addr', 'add', '10.9.9.9/16', 'dev', 'eth0'], netns);
    run(['ip', 'link', 'set', 'eth0', 'address', '02:00:00:00:00:99'], netns);
    run(['ip', 'link', 'set', hostInterfaceName('fix', 'eth0'), 'nomaster']);
    const watcher = await watchNetwork(netns);
    attach(namespaces, 'fix', leases);
    assert.ok((await watcher.changes()).some((line) => line.includes('10.0.5.2/24')));
    assert.equal(link('eth0', netns)?.ifindex, index);
    assert.equal(link('eth0', netns)?.address, '02:00:0a:00:05:02');
    assert.deepEqual(addresses('eth0', netns), ['10.0.5.2/24']);
    assert.deepEqual(defaultRoutes(netns), [{ gateway: '10.0.5.1', dev: 'eth0' }]);
    assert.ok(reaches('10.0.5.1', netns));
  });

  it('keeps routes and links that the container made itself', () => {
    const leases = [leaseOf(internal, 'own', 2)];
    attach(namespaces, 'own', leases);
    const netns = netnsOf('own');
    run(['ip', 'link', 'add', 'inner0', 'type', 'veth', 'peer', 'name', 'inner1'], netns);
    run(['ip', 'route', 'add', 'default', 'via', '10.0.5.77', 'metric', '50'], netns);
    attach(namespaces, 'own', leases);
    assert.ok(link('inner0', netns));
    assert.equal(defaultRoutes(netns).length, 2);
  });

  it('removes interfaces that no lease names any more', () => {
    attach(namespaces, 'less', [leaseOf(internal, 'less', 2), leaseOf(lab, 'less', 3, 'eth1')]);
    attach(namespaces, 'less', [leaseOf(internal, 'less', 2)]);
    assert.equal(link('eth1', netnsOf('less')), undefined);
    assert.equal(link(hostInterfaceName('less', 'eth1')), undefined);
  });

  it('keeps its interface where a namespace within has a link of the same number as its host side', () => {
    const leases = [leaseOf(internal, 'outer', 2)];
    attach(namespaces, 'outer', leases);
    const hostName = hostInterfaceName('outer', 'eth0');
    const before = link(hostName)?.ifindex;
    run(['ip', 'netns', 'add', 'nested']);
    // The kernel takes a number for the far end only with one for the near end.
    const far = ['name', 'eth0', 'index', String(before), 'netns', 'nested'];
    run(['ip', 'link', 'add', 'inner0', 'index', '77', 'type', 'veth', 'peer', ...far], netnsOf('outer'));
    assert.equal(link('eth0', '/run/netns/nested')?.ifindex, before);
    attach(namespaces, 'outer', leases);
    assert.equal(link(hostName)?.ifindex, before);
    assert.ok(link('inner0', netnsOf('outer')));
    run(['ip', 'netns', 'del', 'nested']);
  });

  it('makes a pair again whose end was deleted, and a namespace again whose file lost its mount', () => {
    const leases = [leaseOf(internal, 'again', 2)];
    attach(namespaces, 'again', leases);
    run(['ip', 'link', 'del', hostInterfaceName('again', 'eth0')]);
    attach(namespaces, 'again', leases);
    assert.ok(reaches('10.0.5.1', netnsOf('again')));
    run(['umount', '-l', netnsOf('again')]);
    attach(namespaces, 'again', leases);
    assert.ok(reaches('10.0.5.1', netnsOf('again')));
  });

  it('finishes what a predecessor left unmarked, and takes no link that is not its own', () => {
    const leases = [leaseOf(internal, 'mark', 2)];
    attach(namespaces, 'mark', leases);
    const hostName = hostInterfaceName('mark', 'eth0');
    writeFileSync(`/sys/class/net/${hostName}/ifalias`, '\n');
    assert.equal(link(hostName)?.ifalias, undefined);
    attach(namespaces, 'mark', leases);
    assert.equal(link(hostName)?.ifalias, 'berth:mark/eth0');
  });

  it('keeps the MAC of the bridge while containers come and go', () => {
    const before = link('pvbr0')?.address;
    for (let round = 0; round < 5; round++) {
      attach(namespaces, `mac${round}`, [leaseOf(internal, `mac${round}`, 10 + round)]);
      assert.equal(link('pvbr0')?.address, before);
    }
    for (let round = 0; round < 5; round++) detach(namespaces, `mac${round}`);
    assert.equal(link('pvbr0')?.address, before);
    assert.equal(before, '02:00:0a:00:05:01');
  });
});

describe('net.attach that fails', () => {
  const undone = (act: () => void, step: RegExp, reason: RegExp): void => {
    const before = hostState();
    assert.throws(act, failsAt(step, reason));
    assert.deepEqual(hostState(), before);
    assert.equal(readlinkSync('/proc/thread-self/ns/net'), home);
  };

  it('names a bridge that does not exist', () => {
    const lease = { ...leaseOf(internal, 'x', 2), bridge: 'nobr0' };
    undone(() => attach(namespaces, 'x', [lease]), /^find bridge nobr0 of pool internal$/, /no such link/);
  });

  it('names a bridge that is none', () => {
    const lease = { ...leaseOf(internal, 'x', 2), bridge: 'lo' };
    undone(() => attach(namespaces, 'x', [lease]), /^find bridge lo/, /no bridge/);
  });

  it('undoes the first interface when the second fails, and says what the kernel said', () => {
    const bad = { ...leaseOf(lab, 'x', 3, 'eth1'), mac: '00:00:00:00:00:00' };
    undone(
      () => attach(namespaces, 'x', [leaseOf(internal, 'x', 2), bad]),
      /^create veth veth\w+ for eth1 of x in pvbr1$/,
      /EADDRNOTAVAIL/,
    );
  });

  it('undoes everything when the gateway cannot be reached', () => {
    const lease = { ...leaseOf(internal, 'x', 2), gateway: '192.0.2.1' };
    undone(
      () => attach(namespaces, 'x', [lease]),
      /^add default route through 192\.0\.2\.1 to x$/,
      /ENETUNREACH.*Nexthop has invalid gateway/,
    );
  });

  it('refuses a host side name that somebody else has, and leaves that link alone', () => {
    run(['ip', 'link', 'add', hostInterfaceName('x', 'eth0'), 'type', 'bridge']);
    undone(
      () => attach(namespaces, 'x', [leaseOf(internal, 'x', 2)]),
      /^create veth veth\w+ for eth0 of x$/,
      /not ours/,
    );
    run(['ip', 'link', 'set', hostInterfaceName('x', 'eth0'), 'alias', 'berth:other/eth0']);
    undone(() => attach(namespaces, 'x', [leaseOf(internal, 'x', 2)]), /^create veth/, /"berth:other\/eth0"/);
    run(['ip', 'link', 'del', hostInterfaceName('x', 'eth0')]);
  });

  it('leaves what stood before: only its own work is undone', () => {
    attach(namespaces, 'x', [leaseOf(internal, 'x', 2)]);
    const bad = { ...leaseOf(lab, 'x', 3, 'eth1'), mac: '00:00:00:00:00:00' };
    undone(() => attach(namespaces, 'x', [leaseOf(internal, 'x', 2), bad]), /eth1/, /EADDRNOTAVAIL/);
    assert.ok(reaches('10.0.5.1', netnsOf('x')));
  });

  it('refuses leases that contradict each other', () => {
    const twice = [leaseOf(internal, 'x', 2), leaseOf(lab, 'x', 3)];
    undone(() => attach(namespaces, 'x', twice), /^attach eth0 of x$/, /two leases/);
    undone(() => attach(namespaces, 'x', [leaseOf(internal, 'y', 2)]), /^attach eth0 of x$/, /belongs to y/);
    undone(() => attach(namespaces, 'x', [leaseOf(internal, 'x', 2, 'lo')]), /^attach lo of x$/, /loopback/);
  });
});

describe('limits', () => {
  it('a bridge with 1,023 ports takes no more and says so; a port that is free again is used', () => {
    const ports = Array.from({ length: 512 }, (_, i) => [
      `link add p${i} group 77 type veth peer name q${i} group 77`,
      `link set p${i} master pvbr0`,
      ...(i === 0 ? [] : [`link set q${i} master pvbr0`]),
    ]);
    execFileSync('ip', ['-batch', '-'], { input: ports.flat().join('\n') });
    const before = links().length;
    assert.throws(
      () => attach(namespaces, 'over', [leaseOf(internal, 'over', 2)]),
      failsAt(/^create veth veth\w+ for eth0 of over in pvbr0$/, /^bridge pvbr0 is full, all of its 1023 ports/),
    );
    assert.equal(links().length, before);
    assert.ok(!readdirSync(dir).includes('over'));
    run(['ip', 'link', 'set', 'p5', 'nomaster']);
    attach(namespaces, 'over', [leaseOf(internal, 'over', 2)]);
    assert.equal(link(hostInterfaceName('over', 'eth0'))?.master, 'pvbr0');
    run(['ip', 'link', 'del', 'group', '77']);
  });

  it('host side names are deterministic, 15 characters, and do not collide among 100,000 interfaces', () => {
    const names = new Set<string>();
    for (let i = 0; i < 50_000; i++)
      for (const name of ['eth0', 'eth1']) names.add(hostInterfaceName(`container-${i}`, name));
    assert.equal(names.size, 100_000);
    for (const name of names) assert.match(name, /^veth[a-z2-7]{11}$/);
    assert.equal(hostInterfaceName('web', 'eth0'), hostInterfaceName('web', 'eth0'));
    // The slash between them is in neither name, so no two pairs are the same text.
    assert.notEqual(hostInterfaceName('a', 'beth0'), hostInterfaceName('ab', 'eth0'));
  });
});

describe('net.listAttachments', () => {
  it('tells of all also where the inside of one cannot be looked at', () => {
    for (const [name, host] of [
      ['a', 2],
      ['b', 3],
    ] as const)
      attach(namespaces, name, [leaseOf(internal, name, host)]);
    const expected = listAttachments(namespaces);
    const open = (container: string): number => {
      if (container === 'a')
        throw new NetFailure('list links of a', 'something changed during each of 10 attempts to list');
      return namespaces.open(container);
    };
    assert.deepEqual(listAttachments({ ...namespaces, open }, true), expected);
  });

  it('tells what the kernel has, to whoever asks', () => {
    attach(namespaces, 'b', [leaseOf(internal, 'b', 3)]);
    attach(namespaces, 'a', [leaseOf(internal, 'a', 2), leaseOf(lab, 'a', 2, 'lab0')]);
    writeFileSync(`${dir}/no-namespace`, '');
    const expected = [
      {
        container: 'a',
        netns: netnsOf('a'),
        interfaces: [
          { interface: 'eth0', hostInterface: hostInterfaceName('a', 'eth0') },
          { interface: 'lab0', hostInterface: hostInterfaceName('a', 'lab0') },
        ],
      },
      {
        container: 'b',
        netns: netnsOf('b'),
        interfaces: [{ interface: 'eth0', hostInterface: hostInterfaceName('b', 'eth0') }],
      },
    ];
    assert.deepEqual(listAttachments(openNamespaces(dir)), expected);
    run(['ip', 'link', 'del', hostInterfaceName('b', 'eth0')]);
    assert.deepEqual(listAttachments(namespaces)[1]?.interfaces, []);
  });
});
