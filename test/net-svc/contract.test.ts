import assert from 'node:assert/strict';
import { mkdirSync, rmSync } from 'node:fs';
import { after, describe, it } from 'node:test';
import { netContract } from '../../services/net-svc/contract.ts';
import { openDesiredState } from '../../services/net-svc/desired-state.ts';
import { createDetachedSweep } from '../../services/net-svc/detachments.ts';
import { netHandlers } from '../../services/net-svc/handlers.ts';
import { createNat } from '../../services/net-svc/nat.ts';
import { nftables } from '../../services/net-svc/nat-command.ts';
import { openNamespaces } from '../../services/net-svc/netns.ts';
import { Fault } from '../../shared/ipc/fault.ts';
import { createMemoryBus } from '../../shared/ipc/memory-bus.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { bareHost, NO_GUARD } from './bare-host.ts';
import { internal, leaseOf, links } from './kernel.ts';

reexecInNamespaces(import.meta.filename);

const dir = '/run/berth/netns';
mkdirSync(dir, { recursive: true });
const bus = createMemoryBus([netContract]);
after(() => bus.close());
const channel = bus.connect('net-svc');
const nat = createNat([nftables], [nftables], `${dir}/.nat`);
channel.serve(
  netContract,
  netHandlers({
    namespaces: openNamespaces(dir),
    host: bareHost(nat),
    desired: openDesiredState(`${dir}/.desired.json`, assert.fail),
    drift: { healthReasons: () => [], expectChanges: () => undefined },
    sweep: createDetachedSweep(assert.fail),
    senders: NO_GUARD,
  }),
);
channel.ready();
const net = bus.connect('state-svc').client(netContract);

const faultOf = async (call: Promise<unknown>): Promise<string> => {
  const error = await call.catch((reason: unknown) => reason);
  assert.ok(error instanceof Fault, String(error));
  return error.code;
};

describe('net-svc over its channel', () => {
  it('refuses names that are no names before anything happens', async () => {
    for (const bridge of ['br0; reboot', 'a/b', '', '..', 'sixteen-letters-', 'x"y', 'br 0']) {
      assert.equal(await faultOf(net.configure({ pools: [{ ...internal, bridge }] })), 'BAD_PARAMS', bridge);
    }
    const lease = leaseOf(internal, 'c', 2);
    assert.equal(await faultOf(net.detach({ container: '../../etc' })), 'BAD_PARAMS');
    assert.equal(await faultOf(net.attach({ container: '../x', interfaces: [lease] })), 'BAD_PARAMS');
    assert.equal(await faultOf(net.attach({ container: 'c', interfaces: [] })), 'BAD_PARAMS');
    const multicast = { ...lease, mac: '03:00:00:00:00:01' };
    assert.equal(await faultOf(net.attach({ container: 'c', interfaces: [multicast] })), 'BAD_PARAMS');
    assert.deepEqual(
      links().map(({ ifname }) => ifname),
      ['lo'],
    );
  });

  it('answers state-svc only', async () => {
    const stranger = bus.connect('ctl-svc').client(netContract);
    assert.equal(await faultOf(stranger.detach({ container: 'c' })), 'DENIED');
  });

  it('goes all the way: configure, attach, list, detach', async () => {
    assert.deepEqual(await net.configure({ pools: [internal] }), { ok: true, value: { nat: 'nftables', leftOut: [] } });
    const attached = await net.attach({ container: 'c', interfaces: [leaseOf(internal, 'c', 2)] });
    assert.ok(attached.ok);
    const listed = await net.listAttachments({});
    assert.deepEqual(listed, { ok: true, value: { attachments: [attached.value] } });
    assert.deepEqual(await net.detach({ container: 'c' }), { ok: true, value: {} });
    assert.deepEqual(await net.listAttachments({}), { ok: true, value: { attachments: [] } });
    assert.deepEqual(await bus.connect('ctl-svc').client(netContract).health({}), { ok: true, value: { reasons: [] } });
  });

  it('answers NET_FAILED with step and reason', async () => {
    const lease = { ...leaseOf(internal, 'c', 2), bridge: 'nobr0' };
    assert.deepEqual(await net.attach({ container: 'c', interfaces: [lease] }), {
      ok: false,
      error: { code: 'NET_FAILED', step: 'find bridge nobr0 of pool internal', reason: 'there is no such link' },
    });
    const onLoopback = await net.configure({ pools: [{ ...internal, bridge: 'lo' }] });
    assert.deepEqual(onLoopback, {
      ok: false,
      error: {
        code: 'NET_FAILED',
        step: 'use bridge lo for pool internal',
        reason: 'lo exists and is another kind of link',
      },
    });
    mkdirSync(`${dir}/c/in-the-way`, { recursive: true });
    const stuck = await net.detach({ container: 'c' });
    assert.ok(!stuck.ok && stuck.error.code === 'NET_FAILED');
    assert.equal(stuck.error.step, 'detach c');
    assert.match(stuck.error.reason, /remove the namespace of c/);
    rmSync(`${dir}/c`, { recursive: true });
  });
});
