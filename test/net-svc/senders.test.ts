// Containers that forge: frames of other MACs and addresses, and answers to questions that were not theirs. Real nft, real bridges.
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { after, describe, it } from 'node:test';
import { comparableTable } from '../../services/net-svc/sender-rules.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { addressProbe, arpReply, linkLocal, neighbourAdvertisement, sendFrames, udp } from '../kit/frames.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { internal, lab, leaseOf, makeUplink, reaches, run } from './kernel.ts';
import { dir, kill, openService } from './service.ts';

reexecInNamespaces(import.meta.filename);

const GATEWAY = '10.0.5.1';
const GATEWAY_MAC = '02:00:0a:00:05:01';
const PORT = 5_555;
const EVERYBODY = 'ff:ff:ff:ff:ff:ff';
const leases = { evil: leaseOf(internal, 'evil', 10), good: leaseOf(internal, 'good', 11) };
const netnsOf = (container: string): string => `${dir}/${container}`;

/** Frames that were dropped since the table was made. */
function dropped(): number {
  const counted = run(['nft', 'list', 'table', 'bridge', 'berth']).matchAll(/counter packets (\d+)/g);
  return [...counted].reduce((sum, [, packets]) => sum + Number(packets), 0);
}
const indexIn = (container: string): number =>
  Number(/^(\d+): eth0@/m.exec(run(['ip', 'link', 'show', 'eth0'], netnsOf(container)))?.[1]);
const portOf = (mac: string): string =>
  new RegExp(`^${mac} dev (\\S+) master`, 'm').exec(run(['bridge', 'fdb', 'show', 'br', internal.bridge]))?.[1] ?? '';
const neighbourAt = (container: string, address: string): string =>
  /lladdr (\S+)/.exec(run(['ip', 'neigh', 'show', address], netnsOf(container)))?.[1] ?? '';
const gatewayAt = (container: string): string => neighbourAt(container, GATEWAY);
/** Of the kernel's own making, as text. */
const ownIpv6 = (container: string): string =>
  /inet6 (fe80:\S+)\/64/.exec(run(['ip', '-6', 'addr', 'show', 'eth0'], netnsOf(container)))?.[1] ?? '';
const reachesIpv6 = (address: string, container: string): boolean => reaches(`${address}%eth0`, netnsOf(container));

async function openPair(settings: 'checked' | 'any') {
  const service = await openService('auto', [{ key: 'BERTH_SENDERS', value: settings, origin: 'command' }]);
  after(service.close);
  const child = service.serve();
  after(() => kill(child));
  assert.ok((await service.net.configure({ pools: [internal] })).ok);
  for (const [container, lease] of Object.entries(leases)) {
    assert.ok((await service.net.attach({ container, interfaces: [lease] })).ok);
  }
  for (const container of ['evil', 'good']) {
    const before = settings === 'checked' ? dropped() : 0;
    assert.ok(reaches(GATEWAY, netnsOf(container)), container);
    if (settings === 'checked') assert.equal(dropped(), before, 'what a container may send was dropped');
  }
  assert.ok(reaches(leases.good.address, netnsOf('evil')));
  return { ...service, child };
}

/** What a container that wants to be another one sends; each would have its effect if it came through. */
const forged = (): readonly (readonly [string, Buffer])[] => {
  const { evil, good } = leases;
  return [
    ['the MAC of a neighbour', udp(good.mac, EVERYBODY, good.address, '10.0.5.255', PORT, 'x')],
    ['the address of a neighbour', udp(evil.mac, GATEWAY_MAC, good.address, GATEWAY, PORT, 'forged')],
    ['an address of nobody', udp(evil.mac, GATEWAY_MAC, '192.0.2.9', GATEWAY, PORT, 'forged')],
    [
      'the gateway’s place in ARP',
      arpReply({
        from: evil.mac,
        to: good.mac,
        senderMac: evil.mac,
        senderAddress: GATEWAY,
        targetAddress: good.address,
      }),
    ],
    [
      'the gateway’s MAC in ARP',
      arpReply({
        from: evil.mac,
        to: GATEWAY_MAC,
        senderMac: GATEWAY_MAC,
        senderAddress: evil.address,
        targetAddress: GATEWAY,
      }),
    ],
    [
      'the gateway itself',
      arpReply({
        from: GATEWAY_MAC,
        to: EVERYBODY,
        senderMac: GATEWAY_MAC,
        senderAddress: GATEWAY,
        targetAddress: GATEWAY,
      }),
    ],
  ];
};

describe('senders on a bridge', () => {
  it('are held to their MAC and address, in ARP too: nothing forged comes through', async () => {
    const { net, log } = await openPair('checked');
    const received: string[] = [];
    const host = createSocket('udp4').on('message', (text) => received.push(text.toString()));
    after(() => host.close());
    host.bind(PORT, GATEWAY);
    await once(host, 'listening');
    const port = portOf(leases.good.mac);
    const { evil } = leases;
    const index = indexIn('evil');
    for (const [what, frame] of forged()) {
      const before = dropped();
      sendFrames(netnsOf('evil'), index, [frame]);
      await eventually(`${what} is dropped`, PATIENCE_MS, () => dropped() > before);
      assert.equal(portOf(leases.good.mac), port, what);
      assert.equal(gatewayAt('good'), GATEWAY_MAC, what);
    }
    // Behind them on the same way: who this comes from is what it says.
    sendFrames(netnsOf('evil'), index, [udp(evil.mac, GATEWAY_MAC, evil.address, GATEWAY, PORT, 'true')]);
    await eventually('the true one', PATIENCE_MS, () => received.length > 0);
    assert.deepEqual(received, ['true']);
    assert.ok((await net.detach({ container: 'evil' })).ok);
    assert.doesNotMatch(run(['nft', 'list', 'table', 'bridge', 'berth']), new RegExp(evil.address));
    assert.ok((await net.detach({ container: 'good' })).ok);
    assert.ok((await net.configure({ pools: [] })).ok);
    assert.doesNotMatch(run(['nft', 'list', 'tables']), /bridge/);
    assert.doesNotMatch(log.join('\n'), /can send from addresses/);
  });

  it('claim no address of IPv6 that is a neighbour’s by its MAC, and keep their own and any that they give themselves', async () => {
    const { net } = await openPair('checked');
    const victim = leaseOf(internal, 'victim', 12);
    // Any MAC may be written into a configuration.
    const chosen = { ...leaseOf(internal, 'chosen', 13), mac: 'a2:11:22:33:44:55' };
    for (const lease of [victim, chosen]) {
      assert.ok((await net.attach({ container: lease.container, interfaces: [lease] })).ok);
    }
    const { evil } = leases;
    const before = dropped();
    for (const { container } of [victim, chosen]) {
      await eventually(`${container} is reached`, PATIENCE_MS, () => reachesIpv6(ownIpv6(container), 'good'));
    }
    run(['ip', '-6', 'addr', 'add', 'fd00::5/64', 'dev', 'eth0', 'nodad'], netnsOf('evil'));
    run(['ip', '-6', 'addr', 'add', 'fd00::6/64', 'dev', 'eth0', 'nodad'], netnsOf('good'));
    assert.ok(reaches('fd00::5', netnsOf('good')), 'an address of its own choice');
    assert.equal(dropped(), before, 'what a container may send was dropped');
    const own = linkLocal(evil.mac);
    const global = Buffer.concat([Buffer.from('20010db800000000', 'hex'), linkLocal(victim.mac).subarray(8)]);
    for (const [what, frame] of [
      ['the neighbour’s place', neighbourAdvertisement(evil.mac, own, linkLocal(victim.mac))],
      ['that of another MAC', neighbourAdvertisement(evil.mac, own, linkLocal(chosen.mac))],
      ['its place in another subnet', neighbourAdvertisement(evil.mac, own, global)],
      ['the neighbour itself', neighbourAdvertisement(evil.mac, linkLocal(victim.mac), own)],
      ['that it is about to be the neighbour', addressProbe(evil.mac, linkLocal(victim.mac))],
    ] as const) {
      const counted = dropped();
      sendFrames(netnsOf('evil'), indexIn('evil'), [frame]);
      await eventually(`${what} is dropped`, PATIENCE_MS, () => dropped() > counted);
    }
    assert.equal(neighbourAt('good', ownIpv6('victim')), victim.mac);
    assert.equal(neighbourAt('good', ownIpv6('chosen')), chosen.mac);
    for (const container of ['victim', 'chosen', 'evil', 'good']) assert.ok((await net.detach({ container })).ok);
    assert.doesNotMatch(run(['nft', 'list', 'table', 'bridge', 'berth']), /elements/);
    assert.ok((await net.configure({ pools: [] })).ok);
  });

  it('tell a bridge nothing by what is meant for bridges alone, past all rules, also one that was made without that', async () => {
    const { net } = await openPair('checked');
    const index = indexIn('evil');
    const learns = (): boolean => run(['ip', '-d', 'link', 'show', internal.bridge]).includes('no_linklocal_learn 0');
    assert.ok(!learns());
    run(['ip', 'link', 'set', internal.bridge, 'type', 'bridge', 'no_linklocal_learn', '0']);
    await eventually('it does not', PATIENCE_MS, () => !learns());
    // LLDP's, and one that nobody uses (IEEE 802.1Q, 8.6.3).
    for (const [to, from] of [
      ['01:80:c2:00:00:0e', '02:00:00:00:00:97'],
      ['01:80:c2:00:00:05', '02:00:00:00:00:98'],
    ] as const) {
      const before = dropped();
      // The last one goes the same way, and is counted.
      const frames = [to, EVERYBODY].map((each) => udp(from, each, leases.good.address, '10.0.5.255', PORT, 'x'));
      sendFrames(netnsOf('evil'), index, frames);
      await eventually('the last one is dropped', PATIENCE_MS, () => dropped() > before);
      assert.equal(portOf(from), '', to);
    }
    for (const container of ['evil', 'good']) await net.detach({ container });
    assert.ok((await net.configure({ pools: [] })).ok);
  });

  it('answer from each of their addresses by whichever of their interfaces the way back is', async () => {
    const { net } = await openPair('checked');
    makeUplink();
    const beyond = '/run/netns/router';
    run(['ip', 'addr', 'add', '192.0.2.2/24', 'dev', 'uplink']);
    run(['ip', 'route', 'add', '10.0.0.0/16', 'via', '192.0.2.2'], beyond);
    assert.ok((await net.configure({ pools: [internal, lab] })).ok);
    const interfaces = [
      leaseOf(internal, 'many', 30),
      leaseOf(internal, 'many', 31, 'eth1'),
      leaseOf(lab, 'many', 30, 'lab0'),
    ];
    assert.ok((await net.attach({ container: 'many', interfaces })).ok);
    const before = dropped();
    for (const { address } of interfaces) {
      assert.ok(reaches(address, ''), `${address} from the host`);
      assert.ok(reaches(address, beyond), `${address} from beyond it`);
    }
    assert.ok(reaches('10.0.5.31', netnsOf('good')), 'the second interface from a neighbour');
    assert.equal(dropped(), before, 'what a container may send was dropped');
    // What was admitted goes with it, to the last element.
    for (const container of ['many', 'evil', 'good']) assert.ok((await net.detach({ container })).ok);
    assert.doesNotMatch(run(['nft', 'list', 'table', 'bridge', 'berth']), /elements/);
    assert.ok((await net.configure({ pools: [] })).ok);
    run(['ip', 'link', 'del', 'uplink']);
    run(['ip', 'netns', 'del', 'router']);
  });

  it('change with their lease: what was theirs before is nobody’s', async () => {
    const { net } = await openPair('checked');
    const moved = leaseOf(internal, 'evil', 20);
    assert.ok((await net.attach({ container: 'evil', interfaces: [moved] })).ok);
    assert.ok(reaches(GATEWAY, netnsOf('evil')));
    const table = run(['nft', 'list', 'table', 'bridge', 'berth']);
    assert.ok(table.includes(moved.address) && table.includes(moved.mac));
    assert.ok(!table.includes(`${leases.evil.address}\n`) && !table.includes(leases.evil.mac), table);
    const before = dropped();
    sendFrames(netnsOf('evil'), indexIn('evil'), [
      udp(leases.evil.mac, GATEWAY_MAC, leases.evil.address, GATEWAY, PORT, 'x'),
    ]);
    await eventually('what it was is dropped', PATIENCE_MS, () => dropped() > before);
    for (const container of ['evil', 'good']) await net.detach({ container });
    assert.ok((await net.configure({ pools: [] })).ok);
  });

  it('are not those of an attach that failed, which leaves a container what was its own', async () => {
    const { net } = await openPair('checked');
    const rules = (): string => comparableTable(run(['nft', '-s', 'list', 'table', 'bridge', 'berth']));
    const before = rules();
    for (const container of ['evil', 'late']) {
      const lease = { ...leaseOf(internal, container, 20), bridge: 'missing' };
      const failed = await net.attach({ container, interfaces: [lease] });
      assert.ok(!failed.ok && failed.error.code === 'NET_FAILED');
      assert.equal(rules(), before, container);
    }
    assert.ok(reaches(GATEWAY, netnsOf('evil')));
    for (const container of ['evil', 'good']) await net.detach({ container });
    assert.ok((await net.configure({ pools: [] })).ok);
  });

  it('are not those of a container whose detach failed', async () => {
    const { net } = await openPair('checked');
    // One more mount than a detach takes off: its file stays.
    run(['mount', '--bind', netnsOf('evil'), netnsOf('evil')]);
    const failed = await net.detach({ container: 'evil' });
    assert.ok(!failed.ok && failed.error.code === 'NET_FAILED');
    const table = run(['nft', 'list', 'table', 'bridge', 'berth']);
    assert.ok(!table.includes(leases.evil.mac) && table.includes(leases.good.mac), table);
    for (const container of ['evil', 'good']) assert.ok((await net.detach({ container })).ok);
    assert.ok((await net.configure({ pools: [] })).ok);
  });

  it('are believed what they say where that is asked for', async () => {
    const { net } = await openPair('any');
    assert.doesNotMatch(run(['nft', 'list', 'tables']), /bridge/);
    const index = indexIn('evil');
    const send = (what: RegExp): void =>
      sendFrames(
        netnsOf('evil'),
        index,
        forged().flatMap(([name, frame]) => (what.test(name) ? [frame] : [])),
      );
    // Again and again: what was just learnt is locked for a second.
    await eventually('the neighbour takes the container for the gateway', PATIENCE_MS, () => {
      send(/place in ARP/);
      return gatewayAt('good') === leases.evil.mac;
    });
    const own = portOf(leases.evil.mac);
    await eventually('the bridge looks for the neighbour there', PATIENCE_MS, () => {
      send(/MAC of a neighbour/);
      return own !== '' && portOf(leases.good.mac) === own;
    });
    for (const container of ['evil', 'good']) await net.detach({ container });
    assert.ok((await net.configure({ pools: [] })).ok);
  });

  it('are held to them again when the rules were flushed, and by a net-svc that was killed', async () => {
    const { net, serve, child } = await openPair('checked');
    const rules = (): string => run(['nft', '-s', 'list', 'table', 'bridge', 'berth']);
    const before = rules();
    run(['nft', 'flush', 'ruleset']);
    await eventually(
      'the table is back',
      PATIENCE_MS,
      () => run(['nft', 'list', 'tables']).includes('bridge berth') && rules() === before,
    );
    await kill(child);
    run(['nft', 'delete', 'element', 'bridge', 'berth', 'ports', `{ "${portOf(leases.evil.mac)}" }`]);
    assert.notEqual(rules(), before);
    const next = serve();
    after(() => kill(next));
    await eventually('the port is looked at again', PATIENCE_MS, () => rules() === before);
    assert.ok(reaches(GATEWAY, netnsOf('evil')));
    for (const container of ['evil', 'good']) await net.detach({ container });
    assert.ok((await net.configure({ pools: [] })).ok);
  });
});
