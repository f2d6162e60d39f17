// Host sides that an earlier build named `vb…`: an upgrade gives them today's names under containers that run.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { after, afterEach, before, describe, it } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { attach } from '../../services/net-svc/attachments.ts';
import { ensureBridges, removeStaleBridges } from '../../services/net-svc/bridges.ts';
import { detach } from '../../services/net-svc/detachments.ts';
import { renameFormer } from '../../services/net-svc/former-names.ts';
import { withHost } from '../../services/net-svc/host-links.ts';
import { DETACHED_ALIAS, hostInterfaceName } from '../../services/net-svc/link-names.ts';
import { createUndo, NetFailure } from '../../services/net-svc/net-failure.ts';
import type { NetlinkSocket } from '../../services/net-svc/netlink-socket.ts';
import { openNamespaces } from '../../services/net-svc/netns.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { NO_NOTES } from './bare-host.ts';
import { internal, lab, leaseOf, link, links, reaches, run } from './kernel.ts';
import { dir, kill, openService } from './service.ts';
import { quiet, watchNetwork, watchRules } from './watchers.ts';

reexecInNamespaces(import.meta.filename);

const WEB = `${dir}/web`;
/** As the builds before named them. */
const FORMER = { eth0: 'vbducistqkf2zun', lab0: 'vbw3dbaql7edjhj' } as const;
type Interface = keyof typeof FORMER;
const INTERFACES = ['eth0', 'lab0'] as const;
const leases = [leaseOf(internal, 'web', 2), leaseOf(lab, 'web', 9, 'lab0')];
const today = (name: Interface): string => hostInterfaceName('web', name);

mkdirSync(dir, { recursive: true });
const namespaces = openNamespaces(dir);

afterEach(() => {
  for (const container of readdirSync(dir).filter((name) => !name.startsWith('.'))) detach(namespaces, container);
  removeStaleBridges([], NO_NOTES);
});

/** What an earlier build left under the container: links, and the rules for their names. */
function nameAsBefore(): void {
  let senders = existsSync(`${dir}/.senders`) ? run(['nft', '-s', 'list', 'table', 'bridge', 'berth']) : '';
  for (const name of INTERFACES) {
    run(['ip', 'link', 'set', today(name), 'down']);
    run(['ip', 'link', 'set', today(name), 'name', FORMER[name]]);
    run(['ip', 'link', 'set', FORMER[name], 'up']);
    senders = senders.replaceAll(today(name), FORMER[name]);
  }
  if (senders === '') return;
  const file = '/run/berth/senders.nft';
  writeFileSync(file, `delete table bridge berth\n${senders}`);
  run(['nft', '-f', file]);
}

/** Its interfaces with index, MAC, addresses and state, and its routes. */
const insideOf = (): unknown => [
  JSON.parse(run(['ip', '-j', '-4', 'addr'], WEB)),
  JSON.parse(run(['ip', '-j', 'route'], WEB)),
];
const outsideOf = (name: string) => {
  const { ifindex, master, ifalias, flags = [] } = link(name) ?? {};
  return { ifindex, master, ifalias, isUp: flags.includes('UP') };
};
const formerLinks = (): string[] =>
  links()
    .map(({ ifname }) => ifname)
    .filter((name) => name.startsWith('vb'));

describe('an upgrade from a build that named host sides otherwise', () => {
  let service: Awaited<ReturnType<typeof openService>>;
  let child: ChildProcess;
  before(async () => {
    service = await openService();
    child = service.serve();
  });
  after(async () => {
    await kill(child);
    service.close();
  });

  it('keeps the interfaces of a container that runs, and everything knows their new names', async () => {
    const linksBefore = links().map(({ ifname }) => ifname);
    assert.ok((await service.net.configure({ pools: [internal, lab] })).ok);
    assert.ok((await service.net.attach({ container: 'web', interfaces: leases })).ok);
    run(['ip', 'route', 'add', '198.51.100.0/24', 'via', '10.0.5.1'], WEB);
    await kill(child);
    nameAsBefore();
    // Of a container that was taken off its network.
    run(['ip', 'link', 'add', 'vb0000000000007', 'type', 'veth', 'peer', 'name', 'left0']);
    run(['ip', 'link', 'set', 'vb0000000000007', 'alias', DETACHED_ALIAS]);
    assert.ok(reaches('10.0.5.1', WEB));
    const inside = insideOf();
    const outside = INTERFACES.map((name) => outsideOf(FORMER[name]));
    const rulesWatcher = await watchRules();

    child = service.serve();
    const listed = await service.net.listAttachments({});
    assert.ok(listed.ok);
    const expected = INTERFACES.map((name) => ({ interface: name, hostInterface: today(name) }));
    assert.deepEqual(listed.value.attachments[0]?.interfaces, expected);
    for (const { hostInterface } of expected) assert.match(hostInterface, /^veth[a-z2-7]{11}$/);
    assert.deepEqual(
      INTERFACES.map((name) => outsideOf(today(name))),
      outside,
    );
    await eventually('the inside is as before', PATIENCE_MS, () => isDeepStrictEqual(insideOf(), inside));
    await eventually('the rules name them', PATIENCE_MS, () => {
      const rules = run(['nft', 'list', 'table', 'bridge', 'berth']);
      return INTERFACES.every((name) => rules.includes(today(name)) && !rules.includes(FORMER[name]));
    });
    // Before the table is made anew, which takes a while, the one that stands knows them.
    const [first = ''] = await rulesWatcher.changes();
    assert.match(first, new RegExp(`^add element bridge berth \\w+ .*${today('eth0')}`));
    await eventually('what was detached is gone', PATIENCE_MS, () => formerLinks().length === 0);
    await quiet();
    const watchers = [await watchNetwork(), await watchNetwork(WEB)];
    const attached = await service.net.attach({ container: 'web', interfaces: leases });
    assert.ok(attached.ok);
    assert.deepEqual(attached.value.interfaces, expected);
    for (const watcher of watchers) assert.deepEqual(await watcher.changes(), []);
    assert.ok(reaches('10.0.5.1', WEB) && reaches('10.0.6.1', WEB));
    const health = await service.ctlNet.health({});
    assert.deepEqual(health.ok && health.value.reasons, []);
    assert.doesNotMatch(service.log.join('\n'), /create veth|delete /);

    assert.ok((await service.net.detach({ container: 'web' })).ok);
    assert.ok((await service.net.configure({ pools: [] })).ok);
    await eventually('the links of before', PATIENCE_MS, () =>
      isDeepStrictEqual(
        links().map(({ ifname }) => ifname),
        linksBefore,
      ),
    );
  });

  it('finds the namespace of a container that runs also where its file lost its mount meanwhile', async () => {
    assert.ok((await service.net.configure({ pools: [internal, lab] })).ok);
    assert.ok((await service.net.attach({ container: 'web', interfaces: leases })).ok);
    const tenant = spawn('nsenter', [`--net=${WEB}`, 'busybox', 'sleep', '1000']);
    try {
      await once(tenant, 'spawn');
      const own = `/proc/${tenant.pid}/ns/net`;
      await eventually('it in there', PATIENCE_MS, () => statSync(own).ino === statSync(WEB).ino);
      const { ino } = statSync(WEB);
      const inside = insideOf();
      await kill(child);
      nameAsBefore();
      run(['umount', '-l', WEB]);
      child = service.serve();
      // For a moment there is no file.
      await eventually('its file', PATIENCE_MS, () => statSync(WEB, { throwIfNoEntry: false })?.ino === ino);
      await eventually('the inside is as before', PATIENCE_MS, () => isDeepStrictEqual(insideOf(), inside));
      assert.deepEqual(formerLinks(), []);
      assert.ok(reaches('10.0.5.1', own));
    } finally {
      await kill(tenant);
    }
    assert.ok((await service.net.detach({ container: 'web' })).ok);
    assert.ok((await service.net.configure({ pools: [] })).ok);
  });
});

describe('renameFormer', () => {
  const rename = (through: (host: NetlinkSocket) => NetlinkSocket = (host) => host): string[] => {
    const failures: string[] = [];
    withHost((host) => renameFormer(through(host), (reason) => failures.push(reason)));
    return failures;
  };
  const attachAsBefore = (): void => {
    ensureBridges([internal, lab], createUndo(), NO_NOTES);
    attach(namespaces, 'web', leases);
    nameAsBefore();
  };

  it('gives a name also where the kernel renames only what is down, and the link is up again if it was', () => {
    attachAsBefore();
    run(['ip', 'link', 'set', FORMER.lab0, 'down']);
    const inside = insideOf();
    const outside = outsideOf(FORMER.eth0);
    const asBefore62 = (host: NetlinkSocket): NetlinkSocket => ({
      ...host,
      apply(steps) {
        const [first] = steps;
        if (steps.length === 1 && first !== undefined) throw new NetFailure(first.step, 'rtnetlink: EBUSY');
        host.apply(steps);
      },
    });
    assert.deepEqual(rename(asBefore62), []);
    assert.deepEqual(outsideOf(today('eth0')), outside);
    assert.equal(outsideOf(today('lab0')).isUp, false);
    assert.ok(reaches('10.0.5.1', WEB));
    assert.deepEqual(insideOf(), inside);
    assert.deepEqual(formerLinks(), []);
  });

  it('says so before it renames the first one, and only where there is one', () => {
    attachAsBefore();
    const known: string[] = [];
    const looking = (host: NetlinkSocket): NetlinkSocket => ({
      ...host,
      apply(steps) {
        assert.deepEqual(known, ['today']);
        host.apply(steps);
      },
    });
    withHost((host) => renameFormer(looking(host), assert.fail, () => known.push('today')));
    assert.deepEqual(formerLinks(), []);
    withHost((host) => renameFormer(host, assert.fail, assert.fail));
  });

  it('leaves a link alone whose name of today somebody else has, and says so', () => {
    attachAsBefore();
    run(['ip', 'link', 'add', today('eth0'), 'type', 'bridge']);
    const outside = outsideOf(FORMER.eth0);
    const sent: number[] = [];
    const counting = (host: NetlinkSocket): NetlinkSocket => ({
      ...host,
      apply(steps) {
        sent.push(steps.length);
        host.apply(steps);
      },
    });
    const [failure, ...others] = rename(counting);
    assert.deepEqual(sent, [1, 1], 'nothing is taken down for it');
    assert.match(failure ?? '', new RegExp(`^rename veth ${FORMER.eth0} to ${today('eth0')}: .*EEXIST`));
    assert.deepEqual(others, []);
    assert.deepEqual(outsideOf(FORMER.eth0), outside);
    assert.ok(link(today('lab0')));
    assert.ok(reaches('10.0.5.1', WEB));
    run(['ip', 'link', 'del', today('eth0')]);
  });

  it('lets an attach remove what no lease names any more', () => {
    attachAsBefore();
    rename();
    attach(namespaces, 'web', leases.slice(0, 1));
    assert.equal(link('lab0', WEB), undefined);
    assert.ok(link('eth0', WEB) && link(today('eth0')));
    assert.equal(link(today('lab0')), undefined);
    assert.deepEqual(formerLinks(), []);
  });

  it('changes nothing where all have their names, nor links of others that look alike', async () => {
    ensureBridges([internal, lab], createUndo(), NO_NOTES);
    attach(namespaces, 'web', leases);
    run(['ip', 'link', 'add', FORMER.eth0, 'type', 'bridge']);
    run(['ip', 'link', 'set', FORMER.eth0, 'alias', 'berth:web/eth0']);
    await quiet();
    const watchers = [await watchNetwork(), await watchNetwork(WEB)];
    assert.deepEqual(rename(), []);
    for (const watcher of watchers) assert.deepEqual(await watcher.changes(), []);
    run(['ip', 'link', 'del', FORMER.eth0]);
  });
});
