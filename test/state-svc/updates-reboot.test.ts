// Updates with a reboot, and power cuts in the middle of them.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { type Device, sha256, TRIAL } from './device.ts';
import { APP, FAILED } from './kit.ts';
import {
  CHANGED_B,
  command,
  commits,
  DONE,
  deviceForEach,
  install,
  onDisk,
  pids,
  reaches,
  TESTING,
  TESTING_LIVE,
  THREE,
  UPDATED,
  updateLive,
} from './updates-kit.ts';

const open = deviceForEach();

describe('an update with a reboot', () => {
  const SYSTEM = { s: { group: 'platform' } };
  const CHANGED = { s: { group: 'platform', logs: [] } };

  const askForReboot = async (it: Device): Promise<void> => {
    await command(it, 'LOCAL_RUN', 'locals/x');
    await it.until(() => it.reboots.length > 0);
    await reaches(it, 'locals/x', 'Rebooting');
    assert.equal((await it.rows()).s?.status, 'STARTED');
  };
  const reboot = async (it: Device): Promise<void> => {
    await askForReboot(it);
    await it.boot({ cut: true });
  };
  /** So many starts have not come to its containers. */
  const opening = (it: Device, starts: number): Promise<unknown> =>
    eventually(`${starts} starts`, PATIENCE_MS, () => onDisk(it).trying?.started?.opening === starts);
  /** Its state is read before anything is done for it. */
  const takesLong = (it: Device): void => {
    it.onRead = () => {
      it.onRead = () => undefined;
      it.clock.advance(TRIAL.goalsTimeoutMs + 1000);
    };
  };

  it('is tried after it, and becomes the rollback point', async () => {
    const it = await open(SYSTEM);
    await install(it, 'locals/x', CHANGED);
    await reboot(it);
    await reaches(it, 'locals/x', TESTING);
    assert.equal(it.world.containers.get('s')?.revision, 'locals/x');
    assert.equal(onDisk(it).revision, '0');
    await commits(it, 'locals/x', DONE);
    assert.equal(onDisk(it).revision, 'locals/x');
  });

  it('has all of its time once its containers have their turns, also at the next boot of what was committed live', async () => {
    const it = await open(SYSTEM);
    await install(it, 'locals/x', CHANGED);
    await askForReboot(it);
    takesLong(it);
    await it.boot({ cut: true });
    await commits(it, 'locals/x', DONE);
    await install(it, 'locals/y', { ...CHANGED, d: APP });
    await updateLive(it, 'locals/y');
    takesLong(it);
    await it.boot({ cut: true });
    await commits(it, 'locals/y', DONE);
  });

  it('has no more than that over restarts of state-svc, however many it takes to come to its containers', async () => {
    const it = await open(SYSTEM);
    await install(it, 'locals/x', CHANGED);
    await askForReboot(it);
    const releaseHooks = it.world.hold('hooks.system-start');
    await it.boot({ cut: true });
    await opening(it, 1);
    takesLong(it);
    await it.boot();
    const releaseStart = it.world.hold('lxc.start');
    releaseHooks();
    await reaches(it, 'locals/x', TESTING);
    takesLong(it);
    await it.boot();
    await it.until(() => it.reboots.includes('UPDATE_ROLLED_BACK'));
    releaseStart();
  });

  it('is given up when starts of state-svc never come to its containers', async () => {
    const it = await open(SYSTEM);
    await install(it, 'locals/x', CHANGED);
    const release = it.world.hold('hooks.system-start');
    await reboot(it);
    for (let starts = 1; starts < 10; starts += 1) {
      await opening(it, starts);
      await it.boot();
    }
    await opening(it, 10);
    assert.ok(!it.reboots.includes('UPDATE_ROLLED_BACK'));
    await it.boot();
    await it.until(() => it.reboots.includes('UPDATE_ROLLED_BACK'));
    await reaches(it, 'locals/x', 'Internal error');
    assert.equal(onDisk(it).trying, undefined);
    release();
  });

  it('goes back by another when it is refused after it', async () => {
    const it = await open(SYSTEM);
    await install(it, 'locals/x', { ...CHANGED, d: APP });
    await command(it, 'LOCAL_RUN', 'locals/x');
    await it.until(() => it.reboots.length > 0);
    writeFileSync(join(it.storage, 'objects', sha256('root of d')), 'rotten');
    await it.boot({ cut: true });
    await it.until(() => it.reboots.includes('UPDATE_ROLLED_BACK'));
    await reaches(it, 'locals/x', 'Object validation went wrong');
    await it.boot({ cut: true });
    await it.untilStatus('s', 'STARTED');
    assert.equal(it.world.containers.get('s')?.revision, '0');
    assert.deepEqual(it.reboots, ['UPDATE', 'UPDATE_ROLLED_BACK']);
  });

  /** It was tried after its reboot, has failed, and the reboot of the way back is asked for. */
  const rolledBack = async () => {
    const it = await open(SYSTEM);
    await install(it, 'locals/x', CHANGED);
    await reboot(it);
    await reaches(it, 'locals/x', TESTING);
    await it.untilStatus('s', 'STARTED');
    it.world.exit('s', FAILED);
    await it.until(() => it.reboots.includes('UPDATE_ROLLED_BACK'));
    return it;
  };

  it('goes back by another also when state-svc dies before it comes', async () => {
    const it = await rolledBack();
    it.world.calls.length = 0;
    await (await it.boot()).settled;
    assert.deepEqual(it.reboots, ['UPDATE', 'UPDATE_ROLLED_BACK', 'UPDATE_ROLLED_BACK']);
    assert.deepEqual(it.world.calls, []);
    await it.boot({ cut: true });
    await it.untilStatus('s', 'STARTED');
    assert.equal(it.world.containers.get('s')?.revision, '0');
    assert.equal(it.reboots.length, 3);
  });

  it('goes back without another where state-svc dies and none comes', async () => {
    const it = await rolledBack();
    it.onReboot = () => false;
    await it.boot();
    await it.until(() => it.world.containers.get('s')?.revision === '0');
    await it.untilStatus('s', 'STARTED');
  });

  it('goes back by another also where state-svc itself fails at what else may run', async () => {
    const it = await open(SYSTEM);
    await install(it, 'locals/x', CHANGED);
    await askForReboot(it);
    const release = it.world.hold('lxc.start');
    await it.boot({ cut: true });
    await reaches(it, 'locals/x', TESTING);
    it.onRead = () => {
      if (onDisk(it).trying === undefined) throw new Error('a bug');
    };
    it.clock.advance(TRIAL.goalsTimeoutMs + 1000);
    await it.until(() => it.reboots.includes('UPDATE_ROLLED_BACK'));
    release();
  });

  it('is asked for where none is needed, when it is to be committed at once', async () => {
    const it = await open(THREE);
    await install(it, 'locals/x', CHANGED_B);
    await command(it, 'LOCAL_RUN_COMMIT', 'locals/x');
    await it.until(() => it.reboots.includes('UPDATE'));
    await it.boot({ cut: true });
    await reaches(it, 'locals/x', TESTING);
    await commits(it, 'locals/x', DONE);
  });
});

describe('an update whose reboot does not come', () => {
  const PLATFORM = { ...THREE, s: { group: 'platform' } };

  it('leaves what runs as it is, also over a restart of state-svc', async () => {
    const it = await open(THREE);
    await install(it, 'locals/x', CHANGED_B);
    await updateLive(it, 'locals/x');
    const [before, written] = [await pids(it), onDisk(it)];
    await install(it, 'locals/y', PLATFORM);
    it.onReboot = () => false;
    assert.equal(await command(it, 'LOCAL_RUN_COMMIT', 'locals/y'), 'accepted');
    await reaches(it, 'locals/y', 'Internal error');
    assert.deepEqual(onDisk(it), written);
    await it.until(async () => (await command(it, 'LOCAL_RUN', 'locals/none')) === 'NO_SUCH_STEP');
    await (await it.boot()).settled;
    assert.deepEqual(await pids(it), before);
    await reaches(it, 'locals/x', UPDATED);
    assert.equal(await command(it, 'LOCAL_APPLY', 'locals/y'), 'accepted');
  });

  it('because something lives on in each tree after it is given up', async () => {
    const it = await open(THREE);
    await install(it, 'locals/x', CHANGED_B);
    await updateLive(it, 'locals/x');
    await install(it, 'locals/y', PLATFORM);
    let left = 2;
    const counts: boolean[] = [];
    it.onReboot = ({ counted }) => {
      counts.push(counted);
      if (counted) left -= 1;
      return left >= 0;
    };
    assert.equal(await command(it, 'LOCAL_RUN_COMMIT', 'locals/y'), 'accepted');
    for (const times of [1, 2, 3]) {
      await it.until(() => counts.length === times);
      await (await it.boot({ tree: true })).settled;
    }
    await reaches(it, 'locals/y', 'Internal error');
    assert.deepEqual(counts, [false, true, true, true]);
    assert.deepEqual([onDisk(it).trying, onDisk(it).updated.revision], [undefined, 'locals/x']);
    await (await it.boot({ tree: true })).settled;
    assert.equal(counts.length, 4);
  });

  it('is tried after one only, also where another tree finds what runs before the reboot', async () => {
    const it = await open({ s: { group: 'platform' } });
    await install(it, 'locals/x', { s: { group: 'platform', logs: [] } });
    assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'accepted');
    // It is told on disk first.
    await it.until(() => it.reboots.length > 0);
    const before = await pids(it);
    await (await it.boot({ tree: true })).settled;
    assert.deepEqual(await pids(it), before);
    assert.deepEqual(it.reboots, ['UPDATE', 'UPDATE']);
    assert.equal(onDisk(it).trying.started, undefined);
    await it.boot({ cut: true });
    await reaches(it, 'locals/x', TESTING);
  });

  it('is asked for once more by a state-svc of the same tree, which is not counted', async () => {
    const it = await open(THREE);
    await install(it, 'locals/x', CHANGED_B);
    const counts: boolean[] = [];
    it.onReboot = ({ counted }) => counts.push(counted) > 0;
    assert.equal(await command(it, 'LOCAL_RUN_COMMIT', 'locals/x'), 'accepted');
    await it.until(() => counts.length === 1);
    await (await it.boot()).settled;
    assert.deepEqual(counts, [false, false]);
  });
});

describe('a power cut', () => {
  const MOMENTS = ['Transitioning to new revision without rebooting', TESTING_LIVE];
  for (const moment of MOMENTS) {
    it(`at "${moment}" goes back to what was committed, for good`, async () => {
      const it = await open(THREE);
      await install(it, 'locals/x', CHANGED_B);
      const release = moment === MOMENTS[0] ? it.world.hold('lxc.stop') : () => undefined;
      await command(it, 'LOCAL_RUN', 'locals/x');
      await reaches(it, 'locals/x', moment);
      await it.boot({ cut: true });
      release();
      await reaches(it, 'locals/x', 'Unexpected rollback');
      await it.untilStatus('b', 'STARTED');
      assert.equal(it.world.containers.get('b')?.revision, '0');
      await it.boot({ cut: true });
      await it.untilStatus('b', 'STARTED');
      assert.equal(it.world.containers.get('b')?.revision, '0');
    });
  }

  it('at "Rebooting" is the reboot', async () => {
    const it = await open({ s: { group: 'platform' } });
    await install(it, 'locals/x', { s: { group: 'platform', logs: [] } });
    await command(it, 'LOCAL_RUN', 'locals/x');
    await reaches(it, 'locals/x', 'Rebooting');
    await it.boot({ cut: true });
    await reaches(it, 'locals/x', TESTING);
    await it.boot({ cut: true });
    await reaches(it, 'locals/x', 'Unexpected rollback');
    await it.untilStatus('s', 'STARTED');
    assert.equal(it.world.containers.get('s')?.revision, '0');
  });
});
