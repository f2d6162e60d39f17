// Updates of a revision that the start of state-svc refused: its containers run on since before, and none of them was adopted.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { Device } from './device.ts';
import { APP, FAILED, health, RETRY, timeToAskAgain, turnsOfTheLoop } from './kit.ts';
import {
  command,
  deviceForEach,
  holds,
  install,
  onDisk,
  pids,
  reaches,
  rot,
  TESTING_LIVE,
  THREE,
  UPDATED,
  updateLive,
} from './updates-kit.ts';

const open = deviceForEach();

const SIGNALS = { ...APP, status_goal: 'READY' };

/** The next state-svc refuses what runs, and no reboot comes. */
async function refuse(it: Device): Promise<void> {
  it.onReboot = () => false;
  await (await it.boot()).settled;
  assert.deepEqual(
    (await health(it)).map(({ code }) => code),
    ['REVISION_REFUSED'],
  );
}

const WAYS: readonly (readonly [what: string, take: (it: Device) => Promise<unknown>])[] = [
  [
    'accepted by the state-svc before',
    (it) => {
      const asked = { revision: 'locals/x', once: false, commit: false };
      writeFileSync(join(it.storage, 'boot/current.json'), JSON.stringify({ ...onDisk(it), asked }));
      return it.boot();
    },
  ],
  [
    'asked for while it is refused',
    async (it) => {
      await refuse(it);
      assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'accepted');
    },
  ],
];

describe('a live update of what is refused', () => {
  it('is the end of its reboot that could not be counted, and was asked for again until then', async () => {
    const it = await open(THREE);
    rot(it, 'root of a');
    await install(it, 'locals/x', { b: APP, c: APP, d: APP });
    it.onReboot = () => 'uncounted';
    await (await it.boot()).settled;
    await it.until(() => it.reboots.length === 1);
    await timeToAskAgain(it);
    await it.until(() => it.reboots.length === 2);
    assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'accepted');
    await reaches(it, 'locals/x', TESTING_LIVE);
    await holds(it);
    await reaches(it, 'locals/x', UPDATED);
    it.clock.advance(5_000);
    await turnsOfTheLoop();
    assert.deepEqual(it.reboots, ['REVISION_REFUSED', 'REVISION_REFUSED']);
  });

  for (const [what, take] of WAYS) {
    it(`leaves stopped whom the user stopped: ${what}`, async () => {
      const it = await open(THREE);
      assert.ok((await it.state.controlContainer({ container: 'b', action: 'stop' })).ok);
      await it.untilStatus('b', 'STOPPED');
      const { c } = await pids(it);
      rot(it, 'root of a');
      await install(it, 'locals/x', { b: APP, c: APP, d: APP });
      await take(it);
      await reaches(it, 'locals/x', TESTING_LIVE);
      await holds(it);
      await reaches(it, 'locals/x', UPDATED);
      const { b, ...others } = await it.rows();
      assert.deepEqual([b?.status, b?.pid, b?.user_stopped], ['STOPPED', null, 'true']);
      assert.deepEqual(Object.keys(others), ['c', 'd']);
      assert.equal(others.c?.pid, c);
    });

    it(`knows who has signalled READY: ${what}`, async () => {
      const it = await open({ a: APP, b: SIGNALS, c: APP });
      assert.ok((await it.state.signalReady({ container: 'b' })).ok);
      const { b } = await pids(it);
      rot(it, 'root of a');
      await install(it, 'locals/x', { b: SIGNALS, c: APP, d: APP });
      await take(it);
      await reaches(it, 'locals/x', TESTING_LIVE);
      await holds(it);
      await reaches(it, 'locals/x', UPDATED);
      const row = (await it.rows()).b;
      assert.deepEqual([row?.status, row?.pid], ['READY', b]);
    });
  }

  it('knows who has signalled READY while it is refused', async () => {
    const it = await open({ a: APP, b: SIGNALS, c: APP });
    const { b } = await pids(it);
    rot(it, 'root of a');
    await refuse(it);
    assert.ok((await it.state.signalReady({ container: 'b' })).ok);
    assert.equal((await it.state.signalReady({ container: 'c' })).ok, false);
    await install(it, 'locals/x', { b: SIGNALS, c: APP, d: APP });
    await updateLive(it, 'locals/x');
    const row = (await it.rows()).b;
    assert.deepEqual([row?.status, row?.pid], ['READY', b]);
  });

  it('takes nobody for a stranger who runs since a revision before it, then and at the next start', async () => {
    const it = await open(THREE);
    await install(it, 'locals/w', { ...THREE, d: APP });
    await updateLive(it, 'locals/w');
    const { d: _gone, ...before } = await pids(it);
    rot(it, 'root of d');
    await install(it, 'locals/x', { ...THREE, e: APP });
    await refuse(it);
    await updateLive(it, 'locals/x');
    const { e, ...after } = await pids(it);
    assert.deepEqual(after, before);
    await (await it.boot()).settled;
    assert.deepEqual(await pids(it), { ...before, e });
  });

  it('that fails starts nothing of what is refused, and goes back to it by a reboot', async () => {
    const it = await open(THREE);
    rot(it, 'root of a');
    await refuse(it);
    await install(it, 'locals/x', { b: APP, c: APP, d: APP });
    it.world.troubles.set('lxc.start d', 'refuse');
    it.world.calls.length = 0;
    assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'accepted');
    await it.until(() => it.reboots.includes('UPDATE_ROLLED_BACK'));
    assert.ok(!it.world.calls.includes('lxc.mount a'));
    assert.deepEqual([onDisk(it).revision, onDisk(it).failed], ['0', ['locals/x']]);
    assert.ok(it.lines.some((line) => /^error revision 0: a\/root.squashfs: object /.test(line)));
  });

  it('misses nobody who ends while it is adopted', async () => {
    const containers = { a: APP, b: APP, c: { ...APP, auto_recovery: RETRY } };
    const it = await open(containers);
    rot(it, 'root of a');
    await refuse(it);
    await install(it, 'locals/x', { ...containers, d: APP });
    it.world.containers.set('old', { revision: '0', mounted: true, running: undefined, exit: undefined });
    // The only one that is stopped, after lxc-svc has said who runs.
    const release = it.world.hold('lxc.stop');
    assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'accepted');
    await it.until(() => it.world.calls.includes('lxc.stop old'));
    it.world.exit('c', FAILED);
    release();
    await it.untilStatus('c', 'RECOVERING');
  });
});
