// Containers that offer themselves as routers of IPv6 to the host, on bridges where nothing checks what they send.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { beforeEach, describe, it } from 'node:test';
import { attach } from '../../services/net-svc/attachments.ts';
import { hostInterfaceName } from '../../services/net-svc/link-names.ts';
import type { Lease } from '../../shared/schema/network.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { routerAdvertisement, sendFrames } from '../kit/frames.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { clear, namespaces, restart } from './host.ts';
import { internal, leaseOf, link, reaches, run } from './kernel.ts';

reexecInNamespaces(import.meta.filename);

beforeEach(clear);

const settingOf = (name: string): string => `/proc/sys/net/ipv6/conf/${name}/accept_ra`;
const setting = (name: string): string => readFileSync(settingOf(name), 'utf8').trim();

/** The container's frame is behind the host when its ping is answered: both take the same way. */
function advertise(): void {
  const lease = leaseOf(internal, 'evil', 2);
  attach(namespaces, 'evil', [lease]);
  const netns = namespaces.pathOf('evil');
  assert.ok(reaches(internal.gateway, netns));
  sendRouter(lease);
  assert.ok(reaches(internal.gateway, netns));
}

function sendRouter({ container, mac }: Lease): void {
  const netns = namespaces.pathOf(container);
  const router = Buffer.from('fe80000000000000000000000000babe', 'hex');
  sendFrames(netns, link('eth0', netns)?.ifindex ?? 0, [routerAdvertisement(mac, router)]);
}

const ipv6Routes = (): string => run(['ip', '-6', 'route', 'show', 'default']);

describe('a container that offers the host an IPv6 router', () => {
  it('is not heeded on the bridge of a pool', async () => {
    await restart().configure([internal]);
    advertise();
    assert.equal(ipv6Routes(), '');
    assert.equal(setting(hostInterfaceName('evil', 'eth0')), '0', 'nor on its port');
  });

  it('is not heeded on one of a former build, nor after somebody had it heed them', async () => {
    const net = restart();
    await net.configure([internal]);
    for (const value of ['1', '2']) {
      writeFileSync(settingOf('pvbr0'), value);
      const repaired: string[] = [];
      await net.repair(new Set(['links']), (step) => repaired.push(step));
      assert.deepEqual(repaired, ['have bridge pvbr0 take no IPv6 router']);
      assert.equal(setting('pvbr0'), '0');
    }
    await net.repair(new Set(['links']), assert.fail);
    assert.deepEqual(net.healthReasons(), []);
  });

  it('is told of where the kernel’s setting cannot be written, and everything else is made', async () => {
    const net = restart();
    await net.configure([internal]);
    writeFileSync(settingOf('pvbr0'), '1');
    run(['mount', '--bind', '/proc/sys/net/ipv6', '/proc/sys/net/ipv6']);
    run(['mount', '-o', 'remount,bind,ro', '/proc/sys/net/ipv6']);
    try {
      run(['ip', 'link', 'set', 'pvbr0', 'down']);
      await net.repair(new Set(['links']), () => undefined);
      assert.ok(link('pvbr0')?.flags.includes('UP'));
      const told = net.healthReasons().map(({ code, subject }) => [code, subject]);
      assert.deepEqual(told, [['ROUTERS_ACCEPTED', 'bridge pvbr0']]);
    } finally {
      run(['umount', '/proc/sys/net/ipv6']);
    }
    await net.repair(new Set(['links']), () => undefined);
    assert.deepEqual(net.healthReasons(), []);
  });

  it('is not heeded on its port while the bridge of somebody else is gone', async () => {
    run(['ip', 'link', 'add', 'theirs0', 'type', 'bridge']);
    await restart().configure([{ ...internal, bridge: 'theirs0' }]);
    const lease = { ...leaseOf(internal, 'evil', 2), bridge: 'theirs0' };
    attach(namespaces, 'evil', [lease]);
    const port = hostInterfaceName('evil', 'eth0');
    // As a former build left it.
    writeFileSync(settingOf(port), '1');
    attach(namespaces, 'evil', [lease]);
    run(['ip', 'link', 'del', 'theirs0']);
    const heard = (): number => {
      const counters = readFileSync(`/proc/net/dev_snmp6/${port}`, 'utf8');
      return Number(/^Icmp6InRouterAdvertisements\s+(\d+)$/m.exec(counters)?.[1]);
    };
    // Each is counted before it is heeded, and the second one after the first was.
    await eventually('the port is heard', PATIENCE_MS, () => {
      sendRouter(lease);
      return heard() > 1;
    });
    assert.equal(ipv6Routes(), '');
  });

  it('is up to its owner on a bridge that somebody else made', async () => {
    run(['ip', 'link', 'add', 'theirs0', 'type', 'bridge']);
    const before = setting('theirs0');
    await restart().configure([{ ...internal, bridge: 'theirs0' }]);
    assert.equal(setting('theirs0'), before);
    assert.notEqual(before, '0');
  });
});
