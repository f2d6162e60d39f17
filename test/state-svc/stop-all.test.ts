// Everything is stopped before a poweroff.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type Device, POOL } from './device.ts';
import { APP, FAILED, POOLED, RETRY, useDevices } from './kit.ts';
import { CHANGED_B, command, deviceForEach, install, reaches, TESTING_LIVE, THREE } from './updates-kit.ts';

const open = useDevices();
const openRunning = deviceForEach();

/** Whoever goes on by itself has gone on. */
async function goOn({ storage }: Device): Promise<void> {
  for (let turns = 0; turns < 200; turns += 1) await readdir(storage);
}

const runs = ({ world }: Device) => [...world.containers.values()].some(({ running }) => running !== undefined);

describe('stopAll', () => {
  it('stops groups in reverse, clears the pools, starts nothing any more, and marks nobody as stopped by the user', async () => {
    const it = await open({ base: { group: 'root' }, web: { ...APP, ...POOLED, auto_recovery: RETRY } });
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    await it.until(() => it.world.calls.includes('hooks.system-done 0'));
    it.world.calls.length = 0;
    assert.deepEqual(await it.supervisor.stopAll({}), { ok: true, value: {} });
    assert.deepEqual(it.world.calls, [
      'lxc.stop web',
      'lxc.unmount web',
      'net.detach web',
      'lxc.stop base',
      'lxc.unmount base',
      'net.configure 0',
    ]);
    assert.equal((await it.state.controlContainer({ container: 'web', action: 'start' })).ok, false);
    await (await it.boot()).settled;
    assert.equal((await it.untilStatus('web', 'STARTED')).user_stopped, 'false');
  });

  it('starts everybody again after a death in the middle of it, whatever their exits look like', async () => {
    const it = await open({ web: { ...APP, ...POOLED } });
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    const release = it.world.hold('net.detach');
    const supervisor = new AbortController();
    const stopping = it.supervisor.stopAll({}, { signal: supervisor.signal });
    await it.until(() => it.world.calls.includes('net.detach web'));
    supervisor.abort();
    await assert.rejects(stopping);
    it.world.calls.length = 0;
    await it.boot();
    release();
    await it.untilStatus('web', 'STARTED');
  });

  it('goes on when its asker has waited long enough, and answers the next one with the same end', async () => {
    const it = await open({ web: { ...APP, ...POOLED } });
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    const release = it.world.hold('lxc.stop');
    const impatient = new AbortController();
    const first = it.supervisor.stopAll({}, { signal: impatient.signal });
    await it.until(() => it.world.calls.includes('lxc.stop web'));
    impatient.abort();
    await assert.rejects(first);
    const second = it.supervisor.stopAll({});
    release();
    assert.ok((await second).ok);
    assert.equal(it.world.calls.filter((call) => call === 'lxc.stop web').length, 1);
  });

  it('reports what could not be stopped and goes on', async () => {
    const it = await open({ base: { group: 'root' }, web: APP });
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    it.world.troubles.set('lxc.unmount web', 'refuse');
    const answer = await it.supervisor.stopAll({});
    assert.match(!answer.ok ? answer.error.reasons.join() : '', /^web: lxc.unmount: UNMOUNT_FAILED/);
    assert.ok(it.world.calls.includes('lxc.unmount base'));
  });
});

describe('stopAll of a revision that cannot be read any more', () => {
  const unreadable = async (): Promise<Device> => {
    const it = await openRunning({ a: { ...APP, ...POOLED }, b: APP }, { network: { pools: { internal: POOL } } });
    writeFileSync(join(it.storage, 'trails/0/.pvr/json'), 'rotten');
    it.onReboot = () => false;
    await (await it.boot()).settled;
    assert.ok(runs(it));
    it.world.calls.length = 0;
    return it;
  };

  it('stops what runs of it all the same, before it clears the pools', async () => {
    const it = await unreadable();
    assert.deepEqual(await it.supervisor.stopAll({}), { ok: true, value: {} });
    assert.equal(it.world.containers.size, 0);
    assert.equal(it.world.attachments.size, 0);
    assert.equal(it.world.calls.at(-1), 'net.configure 0');
  });

  it('says what of that could not be stopped', async () => {
    const it = await unreadable();
    it.world.troubles.set('lxc.stop a', 'refuse');
    const answer = await it.supervisor.stopAll({});
    assert.match(!answer.ok ? answer.error.reasons.join() : '', /^a: lxc.stop: STOP_FAILED/);
    assert.ok(!it.world.containers.has('b'));
  });

  it('says so where nobody can tell what runs', async () => {
    const it = await unreadable();
    it.world.listsNothing = true;
    const answer = await it.supervisor.stopAll({});
    assert.match(!answer.ok ? answer.error.reasons.join() : '', /^what else runs is not known/);
    assert.equal(it.world.calls.at(-1), 'net.configure 0');
  });
});

describe('stopAll while containers are replaced', () => {
  const NEXT = { ...CHANGED_B, b: { ...CHANGED_B.b, ...POOLED } };
  const POOLS = { network: { pools: { internal: POOL } } };

  for (const [phase, step, met, begun] of [
    ['stopped', 'lxc.stop', 'lxc.stop b', 0],
    ['given their pools', 'ipam.configure', 'ipam.configure 1', 1],
  ] as const) {
    it(`starts none of an update whose containers are being ${phase}`, async () => {
      const it = await openRunning(THREE, POOLS);
      await install(it, 'locals/x', NEXT, POOLS);
      const runner = await it.boot();
      await runner.settled;
      it.world.calls.length = 0;
      const release = it.world.hold(step);
      assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'accepted');
      await it.until(() => it.world.calls.includes(met));
      const stopping = runner.stopAll();
      release();
      assert.deepEqual(await stopping, []);
      await goOn(it);
      assert.ok(!runs(it));
      assert.equal(it.world.calls.filter((call) => call === 'log.openRevision locals/x').length, begun);
      assert.ok(!it.world.calls.includes('lxc.start b'));
      assert.equal(it.world.calls.at(-1), 'net.configure 0');
    });
  }

  it('starts none on a live way back', async () => {
    const it = await openRunning(THREE, POOLS);
    await install(it, 'locals/x', NEXT, POOLS);
    const runner = await it.boot();
    await runner.settled;
    assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'accepted');
    await reaches(it, 'locals/x', TESTING_LIVE);
    await it.untilStatus('b', 'STARTED');
    it.world.calls.length = 0;
    const release = it.world.hold('lxc.stop');
    it.world.exit('b', FAILED);
    await it.until(() => it.world.calls.includes('lxc.stop b'));
    const stopping = runner.stopAll();
    release();
    assert.deepEqual(await stopping, []);
    await goOn(it);
    assert.ok(!runs(it));
    assert.ok(!it.world.calls.includes('log.openRevision 0'));
    assert.ok(!it.world.calls.includes('lxc.start b'));
    assert.deepEqual(it.reboots, []);
    assert.equal(it.world.calls.at(-1), 'net.configure 0');
  });
});
