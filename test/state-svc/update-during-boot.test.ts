// Updates that begin while containers are still on their way up.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ContainerSpec, Device } from './device.ts';
import { FAILED, RETRY, useDevices } from './kit.ts';
import { command, holds, install, reaches, UPDATED } from './updates-kit.ts';

const openDevice = useDevices();
const GROUP = { description: '', status_goal: 'STARTED', restart_policy: 'container', timeout: 30 };
const DEVICE = { groups: ['first', 'second', 'third'].map((name) => ({ name, ...GROUP })) };

/** Boots until lxc-svc mounts the last of these, one after the other; answers what lets it go on. */
async function mounting(containers: Record<string, ContainerSpec>, ...names: readonly string[]) {
  const it = await openDevice(containers, DEVICE);
  let release = it.world.hold('lxc.mount');
  await it.boot();
  for (const name of names) {
    release();
    release = it.world.hold('lxc.mount');
    await it.until(() => it.world.calls.includes(`lxc.mount ${name}`));
  }
  return { it, release };
}

async function update(it: Device, containers: Record<string, ContainerSpec>): Promise<void> {
  await install(it, 'locals/x', containers, DEVICE);
  assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'accepted');
}

/** Between two revisions nobody is told of statuses but by the log. */
const untilMounted = (it: Device, name: string) =>
  it.until(() => it.lines.some((line) => line.includes(`container ${name}: INSTALLED -> MOUNTED`)));

describe('an update while containers come up', () => {
  it('takes away one that is just being mounted, and starts the new one', async () => {
    const containers = { a: { group: 'first' }, b: { group: 'second' } };
    const { it, release } = await mounting(containers, 'a', 'b');
    await update(it, { ...containers, b: { group: 'second', logs: [] } });
    await it.untilStatus('b', 'STOPPING');
    release();
    await it.untilStatus('b', 'STARTED');
    assert.equal(it.world.containers.get('b')?.revision, 'locals/x');
    await holds(it);
    await reaches(it, 'locals/x', UPDATED);
  });

  it('takes away one that is held, also when others are taken away before it', async () => {
    const containers = { a: { group: 'first', auto_recovery: RETRY }, b: { group: 'second' }, c: { group: 'third' } };
    const { it, release } = await mounting(containers, 'a', 'b');
    it.world.exit('a', FAILED);
    await it.untilStatus('a', 'RECOVERING');
    release();
    await it.untilStatus('b', 'BLOCKED');
    await update(it, { ...containers, b: { group: 'second', logs: [] }, c: { group: 'third', logs: [] } });
    await it.until(() => it.world.calls.includes('lxc.unmount b'));
    it.clock.advance(RETRY.retry_delay * 1000);
    await it.untilStatus('c', 'STARTED');
    it.clock.advance(RETRY.stable_timeout * 1000);
    await holds(it);
    await reaches(it, 'locals/x', UPDATED);
  });

  it('leaves who stays to the order of the new revision, also who was mounted in between', async () => {
    const containers = { a: { group: 'first' }, b: { group: 'second' } };
    const { it, release } = await mounting(containers, 'a', 'b');
    const stops = it.world.hold('lxc.stop');
    await update(it, { ...containers, a: { group: 'first', logs: [] } });
    await it.until(() => it.world.calls.includes('lxc.stop a'));
    release();
    await untilMounted(it, 'b');
    stops();
    await it.untilStatus('b', 'STARTED');
    assert.equal((await it.rows()).a?.status, 'STARTED');
  });

  it('lets the user stop at once who waits for the new revision', async () => {
    const containers = { a: { group: 'first' }, b: { group: 'second' } };
    const { it, release } = await mounting(containers, 'a', 'b');
    const networks = it.world.hold('net.configure');
    await update(it, { ...containers, a: { group: 'first', logs: [] } });
    await it.until(() => it.world.calls.filter((call) => call === 'net.configure 0').length === 2);
    release();
    await untilMounted(it, 'b');
    await it.state.controlContainer({ container: 'b', action: 'stop' });
    await it.untilStatus('b', 'STOPPED');
    networks();
    await holds(it);
    await reaches(it, 'locals/x', UPDATED);
  });
});
