// What a container with root inside and no role tries on the network, and that its neighbours go on.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eventually } from '../kit/eventually.ts';
import { PATIENCE_MS } from '../kit/tree.ts';
import { GATEWAY, GATEWAY_MAC, type HostileWorld, openHostileWorld } from './world.ts';

describe('hostile.network', () => {
  let world: HostileWorld;
  before(async () => {
    world = await openHostileWorld();
    world.served(1);
  });
  after(() => world.close());

  const dropped = (): number => {
    const counted = world.tree.inside(['nft', 'list', 'table', 'bridge', 'berth']).stdout;
    return [...counted.matchAll(/counter packets (\d+)/g)].reduce((sum, [, packets]) => sum + Number(packets), 0);
  };
  const portOf = (container: string): string =>
    new RegExp(`^${world.macOf(container)} dev (\\S+) master`, 'm').exec(
      world.tree.inside(['bridge', 'fdb', 'show', 'br', 'pvbr0']).stdout,
    )?.[1] ?? '';
  const neighbour = (address: string, container?: string): string => {
    const command = ['ip', 'neigh', 'show', address];
    const told = container === undefined ? world.tree.inside(command).stdout : world.near(container, command);
    return /lladdr (\S+)/.exec(told)?.[1] ?? '';
  };
  /** The evil container may do what it likes within its own namespace: what counts is what leaves it. */
  const drops = async (what: string, script: string): Promise<void> => {
    const before = dropped();
    const { stderr } = world.evil(script);
    await eventually(`${what} is dropped; ${stderr}`, PATIENCE_MS, () => dropped() > before);
  };
  it('drops ARP that claims the gateway’s address: neighbours and the host keep theirs', async () => {
    await drops(
      'the claim',
      `ip addr add ${GATEWAY}/32 dev eth0; arping -U -c 3 -w 4 -I eth0 -s ${GATEWAY} ${GATEWAY}; true`,
    );
    await drops(
      'the answer',
      `arping -A -c 3 -w 4 -I eth0 -s ${GATEWAY} ${GATEWAY}; ip addr del ${GATEWAY}/32 dev eth0; true`,
    );
    for (const container of ['victim', 'friend']) {
      world.near(container, ['busybox', 'ping', '-c', '1', '-W', '20', GATEWAY]);
      assert.equal(neighbour(GATEWAY, container), GATEWAY_MAC);
    }
    world.served(3);
  });

  it('drops packets of a neighbour’s address and of nobody’s', async () => {
    for (const address of [world.addressOf('victim'), '203.0.113.7']) {
      const ping = `ip addr add ${address}/32 dev eth0; ping -c 2 -W 1 -I ${address} ${GATEWAY}; ip addr del ${address}/32 dev eth0`;
      await drops(`a ping as ${address}`, ping);
    }
    assert.equal(world.tree.inside(['busybox', 'ping', '-c', '1', '-W', '20', world.addressOf('victim')]).status, 0);
    assert.equal(neighbour(world.addressOf('victim')), world.macOf('victim'));
    world.served(3);
  });

  it('drops frames of a neighbour’s MAC: the bridge goes on to send that one’s where it is', async () => {
    const port = portOf('victim');
    assert.notEqual(port, '');
    const own = world.macOf('evil');
    // Again and again: Berth sets it back.
    const forge = `ip link set eth0 address ${world.macOf('victim')}; arping -q -c 1 -w 1 -I eth0 ${GATEWAY}`;
    await drops('a frame of that MAC', `for n in 1 2 3; do ${forge}; done; true`);
    await eventually('its own MAC is back', PATIENCE_MS, () => world.near('evil', ['ip', 'link']).includes(own));
    assert.equal(portOf('victim'), port);
    world.served(3);
  });

  it('drops what claims a neighbour’s link-local IPv6 address', async () => {
    const told = world.near('victim', ['ip', '-6', 'addr', 'show', 'eth0']);
    const address = /inet6 (fe80:\S+)\/64/.exec(told)?.[1] ?? '';
    assert.notEqual(address, '');
    await drops('the question whether it is free', `ip addr add ${address}/64 dev eth0; true`);
    world.evil(`ip addr del ${address}/64 dev eth0`);
    // Had without asking, whoever looks for it is answered.
    world.near('evil', ['ip', 'addr', 'add', `${address}/64`, 'dev', 'eth0', 'nodad']);
    const before = dropped();
    world.near('friend', ['busybox', 'ping', '-c', '1', '-W', '20', `${address}%eth0`]);
    await eventually('the answer is dropped', PATIENCE_MS, () => dropped() > before);
    assert.equal(neighbour(address, 'friend'), world.macOf('victim'));
    world.evil(`ip addr del ${address}/64 dev eth0`);
    world.served(3);
  });

  it('carries on for neighbours while packets are flooded, and carries the container itself after that', async () => {
    const target = world.addressOf('victim');
    const flood = `for n in 1 2 3 4 5 6 7 8; do ping -q -i 0.0002 -s 1400 ${target} & done; wait`;
    const flooding = world.evilFor(8, flood);
    const before = readPackets(world);
    await eventually('the flood', PATIENCE_MS, () => readPackets(world) > before + 1_000);
    world.served(10);
    await flooding;
    assert.equal(world.evil(`ping -c 1 -W 20 ${GATEWAY}`).status, 0, 'it is held to its address, not cut off');
  });
});

/** Of the evil container, as its own interface counts. */
function readPackets(world: HostileWorld): number {
  const line = world
    .near('evil', ['cat', '/proc/net/dev'])
    .split('\n')
    .find((each) => each.trim().startsWith('eth0:'));
  return Number(line?.trim().split(/\s+/)[10]);
}
