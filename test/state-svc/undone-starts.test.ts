// Starts that fail, and peers that die in the middle of them.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { APP, callsOf, health, POOLED, useDevices } from './kit.ts';

const open = useDevices();

describe('a start that fails', () => {
  const undone: Record<string, readonly string[]> = {
    // The network is made beside the mount.
    'lxc.mount': ['lxc.mount', 'ipam.allocate', 'net.attach', 'net.detach'],
    'ipam.allocate': ['lxc.mount', 'ipam.allocate', 'lxc.unmount'],
    'net.attach': ['lxc.mount', 'ipam.allocate', 'net.attach', 'lxc.unmount'],
    'lxc.start': ['lxc.mount', 'ipam.allocate', 'net.attach', 'lxc.start', 'net.detach', 'lxc.unmount'],
  };
  for (const [step, calls] of Object.entries(undone)) {
    it(`undoes what was done before ${step}, in reverse, and names it`, async () => {
      const it = await open({ web: { ...APP, ...POOLED }, other: { ...APP, ...POOLED } });
      it.world.troubles.set(`${step} web`, 'refuse');
      await it.boot();
      await it.untilStatus('web', 'STOPPED');
      await it.untilStatus('other', 'STARTED');
      assert.deepEqual(callsOf(it, 'web'), calls);
      assert.equal(it.world.containers.get('web')?.mounted ?? false, false);
      assert.ok(!it.world.attachments.has('web'));
      const [reason] = await health(it);
      assert.deepEqual([reason?.code, reason?.subject], ['CONTAINER_FAILED', 'web']);
      assert.ok(reason?.message.includes(step), reason?.message);
    });
  }

  it('keeps the lease', async () => {
    const it = await open({ web: { ...APP, ...POOLED } });
    it.world.troubles.set('lxc.start web', 'refuse');
    await it.boot();
    await it.untilStatus('web', 'STOPPED');
    assert.equal(it.world.leases.get('web'), '10.0.5.2');
  });

  it('goes on past a step that cannot be undone and tells it', async () => {
    const it = await open({ web: { ...APP, ...POOLED } });
    it.world.troubles.set('lxc.start web', 'refuse').set('net.detach web', 'refuse');
    await it.boot();
    await it.untilStatus('web', 'STOPPED');
    assert.ok(!it.world.containers.has('web'));
    assert.match((await health(it))[0]?.message ?? '', /not undone: net.detach: NET_FAILED/);
  });

  it('is tried again when the user asks, from INSTALLED', async () => {
    const it = await open({ web: APP });
    it.world.troubles.set('lxc.start web', 'refuse');
    await it.boot();
    await it.untilStatus('web', 'STOPPED');
    it.world.troubles.clear();
    assert.ok((await it.state.controlContainer({ container: 'web', action: 'start' })).ok);
    await it.untilStatus('web', 'STARTED');
    assert.deepEqual(await health(it), []);
  });
});

describe('the death of a peer', () => {
  for (const [step, service] of [
    ['lxc.mount', 'lxc-svc'],
    ['ipam.allocate', 'ipam-svc'],
    ['net.attach', 'net-svc'],
    ['lxc.start', 'lxc-svc'],
  ] as const) {
    it(`at ${step}, done but not answered, is one more request and nothing else`, async () => {
      const it = await open({ web: { ...APP, ...POOLED } });
      it.world.troubles.set(`${step} web`, 'die');
      await it.boot();
      const row = await it.untilStatus('web', 'STARTED');
      assert.deepEqual(callsOf(it, 'web').filter((call) => call === step).length, 2);
      assert.ok(!it.world.calls.includes('lxc.unmount web'), service);
      assert.equal(row.network?.interfaces[0]?.ipv4, '10.0.5.2/24');
    });
  }

  it('or a bug in it ends the start, and undoes also the step whose outcome nobody knows', async () => {
    const it = await open({ web: { ...APP, ...POOLED } });
    it.world.troubles.set('net.attach web', 'throw');
    await it.boot();
    await it.untilStatus('web', 'STOPPED');
    assert.deepEqual(callsOf(it, 'web').slice(-3), ['net.attach', 'net.detach', 'lxc.unmount']);
    assert.match((await health(it))[0]?.message ?? '', /net.attach: .*INTERNAL/);
  });
});
