// What a container heaps up in its own namespace: it is not read where it is not needed, and keeps nobody from being answered.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { AS_ASKED, attach, listAttachments } from '../../services/net-svc/attachments.ts';
import { ensureBridges, removeStaleBridges } from '../../services/net-svc/bridges.ts';
import { defaultRoutesWithin } from '../../services/net-svc/default-routes.ts';
import { detach } from '../../services/net-svc/detachments.ts';
import { addressesBeside, type InsideLists, linksNamed, openInsideLists } from '../../services/net-svc/inside-view.ts';
import { createUndo } from '../../services/net-svc/net-failure.ts';
import { openFiltering, openRtnetlink } from '../../services/net-svc/netlink-socket.ts';
import { openNamespaces } from '../../services/net-svc/netns.ts';
import { dumpMainRoutes, isBeyondDefaultRoutes } from '../../services/net-svc/rtnetlink-address.ts';
import { withinNamespace } from '../../shared/kernel/network-namespace.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { NO_NOTES } from './bare-host.ts';
import { addresses, internal, leaseOf, link, run } from './kernel.ts';

reexecInNamespaces(import.meta.filename);

const dir = '/run/berth/netns';
const WEB = `${dir}/web`;
mkdirSync(dir, { recursive: true });
const namespaces = openNamespaces(dir);
const leases = [leaseOf(internal, 'web', 2)];
const batch = (lines: readonly string[]): void => {
  const command = [`--net=${WEB}`, 'ip', '-batch', '-'];
  execFileSync('nsenter', command, { input: lines.join('\n'), stdio: ['pipe', 'ignore', 'ignore'] });
};
const within = <T>(act: (fd: number) => T): T => {
  const fd = openSync(WEB, 'r');
  try {
    return act(fd);
  } finally {
    closeSync(fd);
  }
};
const listing = <T>(act: (lists: InsideLists) => T, path = WEB): T => {
  const fd = openSync(path, 'r');
  const lists = openInsideLists(fd);
  try {
    return act(lists);
  } finally {
    lists.close();
    closeSync(fd);
  }
};

before(() => {
  ensureBridges([internal], createUndo(), NO_NOTES);
  attach(namespaces, 'web', leases);
});
after(() => {
  detach(namespaces, 'web');
  removeStaleBridges([], NO_NOTES);
});

describe('a container that heaps up', () => {
  it('routes has no more of them read than its default routes', () => {
    const routes = (table: string): string[] =>
      Array.from({ length: 2_000 }, (_, i) => `route add 20.0.${i >> 8}.${i & 255}/32 dev lo table ${table}`);
    // The half of everything begins as the default routes do, and comes before them.
    const half = 'route add 0.0.0.0/1 dev lo';
    batch([...routes('main'), ...routes('100'), half, 'route add default via 10.0.5.9 metric 7']);
    const index = link('eth0', WEB)?.ifindex ?? 0;
    assert.deepEqual(
      listing((lists) => defaultRoutesWithin(lists, 'web')),
      [{ linkIndex: index, gateway: '10.0.5.1' }],
    );
    const inside = within((fd) => withinNamespace(fd, openFiltering));
    // Both of them, that with a metric too, and the half.
    assert.equal(inside.dump('list', dumpMainRoutes(), isBeyondDefaultRoutes).length, 3);
    inside.close();
    // As of a kernel that tells whatever there is, other tables first.
    const unfiltered = within((fd) => withinNamespace(fd, openRtnetlink));
    assert.ok(unfiltered.dump('list', dumpMainRoutes(), isBeyondDefaultRoutes).length > 4_000);
    unfiltered.close();
  });

  it('no routes at all has no default route', () => {
    run(['ip', 'netns', 'add', 'bare']);
    const routes = listing((lists) => defaultRoutesWithin(lists, 'bare'), '/run/netns/bare');
    assert.deepEqual(routes, []);
    run(['ip', 'netns', 'del', 'bare']);
  });

  it('addresses has no more of them read than up to its own, and a thousand where that is not among them', () => {
    const steps: string[] = [];
    const repair = (): void =>
      void attach(namespaces, 'web', leases, {
        ...AS_ASKED,
        strictness: 'enough',
        record: (step) => void steps.push(step),
      });
    repair();
    const addressOf = (i: number): string => `30.0.${i >> 8}.${i & 255}/32`;
    batch(Array.from({ length: 3_000 }, (_, i) => `addr add ${addressOf(i)} dev ${i < 1_500 ? 'eth0' : 'lo'}`));
    const own = { linkIndex: link('eth0', WEB)?.ifindex ?? 0, address: '10.0.5.2', prefixLength: 24 };
    // Also after what was left in its middle.
    const read = (isEnough: boolean): number =>
      listing((lists) => {
        const counts = [1, 2].map(() => addressesBeside(own, lists, 'web', isEnough).length);
        assert.equal(defaultRoutesWithin(lists, 'web').length, 1);
        assert.equal(counts[0], counts[1]);
        return counts[0] ?? 0;
      });
    assert.deepEqual([read(true), read(false)], [1, 1_000]);
    repair();
    assert.deepEqual(steps, []);
    run(['ip', 'addr', 'del', '10.0.5.2/24', 'dev', 'eth0'], WEB);
    repair();
    assert.ok(addresses('eth0', WEB).includes('10.0.5.2/24'));
    assert.deepEqual(steps, ['add address 10.0.5.2/24 of eth0 of web', 'add default route through 10.0.5.1 to web']);
    // It is the last of them now.
    assert.deepEqual([read(true), read(false)], [1_000, 1_000]);
  });

  it('links has none of them read but its own, which is none that only goes by that name too', () => {
    batch(Array.from({ length: 400 }, (_, i) => `link add heap${i} type bridge`));
    run(['ip', 'link', 'property', 'add', 'dev', 'heap0', 'altname', 'other0'], WEB);
    const inside = within((fd) => withinNamespace(fd, openRtnetlink));
    const found = linksNamed(inside, ['lo', 'eth0', 'other0', 'none0']);
    inside.close();
    assert.deepEqual(
      found.map(({ name }) => name),
      ['lo', 'eth0'],
    );
  });

  it('further names of its interface, as many as the kernel takes, has its network, and all are listed', () => {
    const names = Array.from({ length: 600 }, (_, i) => `${'n'.repeat(120)}${i}`);
    assert.throws(() => batch(names.map((name) => `link property add dev eth0 altname ${name}`)));
    const [attachment] = listAttachments(namespaces, true);
    assert.equal(attachment?.interfaces.length, 1);
    run(['ip', 'addr', 'flush', 'dev', 'eth0'], WEB);
    assert.deepEqual(attach(namespaces, 'web', leases, { ...AS_ASKED, strictness: 'enough' }), attachment);
  });
});
