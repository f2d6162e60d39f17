// Parents of macvlan pools, as the service and its health tell of them.
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { after, before, beforeEach, describe, it } from 'node:test';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { addresses, internal, lab, lan, leaseOf, makeUplink, reaches, run } from './kernel.ts';
import { dir, kill, openService } from './service.ts';

reexecInNamespaces(import.meta.filename);

const guests = { ...lan, name: 'guests', subnet: '198.51.100.0/24', gateway: '198.51.100.1' };
let service: Awaited<ReturnType<typeof openService>>;
let child: ChildProcess;

const reasons = async (): Promise<string[]> => {
  const health = await service.ctlNet.health({});
  assert.ok(health.ok);
  return health.value.reasons.map(({ code, subject, message }) => `${code} ${subject}: ${message}`);
};
const told = (pattern: RegExp) =>
  eventually(`health tells ${pattern}`, PATIENCE_MS, async () => (await reasons()).some((text) => pattern.test(text)));
const well = () => eventually('health is well', PATIENCE_MS, async () => (await reasons()).length === 0);

before(async () => {
  service = await openService();
  makeUplink();
  child = service.serve();
});
beforeEach(async () => {
  assert.ok((await service.net.configure({ pools: [internal, lan] })).ok);
  assert.ok((await service.net.attach({ container: 'mac', interfaces: [leaseOf(lan, 'mac', 10)] })).ok);
  await well();
});
after(async () => {
  await kill(child);
  service.close();
});

describe('the parent of a macvlan pool', () => {
  it('is told in health while it is down or without a carrier, and no longer when it is back', async () => {
    run(['ip', 'link', 'set', 'uplink', 'down']);
    await told(/^PARENT_DOWN pool lan: pool 'lan': its parent uplink is down; bring it up$/);
    run(['ip', 'link', 'set', 'uplink', 'up']);
    await well();
    run(['ip', '-n', 'router', 'link', 'set', 'lan0', 'down']);
    await told(/^PARENT_DOWN .*uplink has no carrier/);
    run(['ip', '-n', 'router', 'link', 'set', 'lan0', 'up']);
    await well();
  });

  it('is told in health while it is gone, and its containers are back with it', async () => {
    const went = service.awaitedChanged();
    run(['ip', 'link', 'del', 'uplink']);
    await told(/^PARENT_GONE pool lan: pool 'lan': there is no link uplink on this machine/);
    await went;
    const came = service.awaitedChanged();
    run(['ip', 'netns', 'del', 'router']);
    makeUplink();
    await came;
    await well();
    await eventually('the address', PATIENCE_MS, () => addresses('eth0', `${dir}/mac`).join() === '192.0.2.10/24');
    assert.ok(reaches('192.0.2.1', `${dir}/mac`));
  });

  it('is told in health where it was missing when its pool was to be made, and others were made', async () => {
    const other = { ...lab, nat: false };
    assert.ok((await service.net.configure({ pools: [internal, lan, { ...guests, bridge: 'eth9' }, other] })).ok);
    await told(/^PARENT_GONE pool guests: pool 'guests': there is no link eth9 on this machine/);
    assert.deepEqual(addresses(lab.bridge), ['10.0.6.1/24']);
  });

  it('may gain an address that a container has, which is told in health', async () => {
    run(['ip', 'addr', 'add', '192.0.2.10/24', 'dev', 'uplink']);
    await told(/^ADDRESS_IN_USE container mac: 192\.0\.2\.10 of 'mac' in pool 'lan' is an address of this machine/);
    const own = await service.net.listHostAddresses({ links: ['uplink', 'eth9'] });
    assert.deepEqual(own, {
      ok: true,
      value: { addresses: [{ link: 'uplink', address: '192.0.2.10' }], missing: ['eth9'] },
    });
    run(['ip', 'addr', 'del', '192.0.2.10/24', 'dev', 'uplink']);
    await well();
  });

  it('is what listAttachments answers as the host’s interface', async () => {
    const both = [leaseOf(lan, 'both', 11), leaseOf(internal, 'both', 3, 'int0')];
    const attached = await service.net.attach({ container: 'both', interfaces: both });
    assert.ok(attached.ok);
    const listed = await service.net.listAttachments({});
    assert.ok(listed.ok);
    assert.deepEqual(
      listed.value.attachments.map(({ container, interfaces }) => [container, interfaces]),
      [
        ['both', attached.value.interfaces],
        ['mac', [{ interface: 'eth0', hostInterface: 'uplink' }]],
      ],
    );
    assert.ok((await service.net.detach({ container: 'both' })).ok);
  });

  it('may have a second pool with a subnet of its own', async () => {
    assert.ok((await service.net.configure({ pools: [lan, guests] })).ok);
    run(['ip', '-n', 'router', 'addr', 'add', '198.51.100.1/24', 'dev', 'lan0']);
    assert.ok((await service.net.attach({ container: 'guest', interfaces: [leaseOf(guests, 'guest', 5)] })).ok);
    assert.ok(reaches('198.51.100.1', `${dir}/guest`));
    assert.ok(reaches('192.0.2.1', `${dir}/mac`));
    assert.ok((await service.net.detach({ container: 'guest' })).ok);
  });

  it('is no bridge that Berth made for an earlier revision', async () => {
    const answer = await service.net.configure({ pools: [{ ...lan, bridge: internal.bridge }] });
    assert.ok(!answer.ok && answer.error.code === 'NET_FAILED');
    assert.equal(answer.error.step, 'use parent pvbr0 of pool lan');
    assert.match(answer.error.reason, /is a bridge that Berth made for a pool; name a link of the machine's own/);
  });
});
