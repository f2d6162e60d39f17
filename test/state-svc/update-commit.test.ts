// Commits that the disk does not take, and bugs behind them: what is tried is neither lost nor committed unseen, and state-svc lives on.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { APP, FAILED, RETRY } from './kit.ts';
import { command, deviceForEach, holds, install, onDisk, reaches, TESTING_LIVE, UPDATED } from './updates-kit.ts';

const open = deviceForEach();

describe('what is tried', () => {
  it('is judged once more after a commit that could not be written down', async () => {
    const it = await open({ a: APP });
    await install(it, 'locals/x', { a: APP, b: APP });
    let isFull = true;
    it.onBootWrite = ({ trying, updated }) => {
      if (isFull && trying === undefined && updated !== undefined) throw new Error('ENOSPC: no space left on device');
    };
    assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'accepted');
    await reaches(it, 'locals/x', TESTING_LIVE);
    await holds(it);
    await it.until(() => it.lines.some((line) => line.includes('cannot be committed')));
    it.world.exit('b', FAILED);
    await it.untilStatus('b', 'STOPPED');
    isFull = false;
    it.clock.advance(5000);
    await reaches(it, 'locals/x', 'A container could not be started');
    assert.deepEqual([onDisk(it).revision, onDisk(it).updated], ['0', undefined]);
  });

  it('is committed in the end when only its commit could not be written down', async () => {
    const it = await open({ a: APP });
    await install(it, 'locals/x', { a: APP, b: APP });
    const refusals = [1, 2];
    it.onBootWrite = ({ updated }) => {
      if (updated !== undefined && refusals.pop() !== undefined) throw new Error('ENOSPC: no space left on device');
    };
    assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'accepted');
    await reaches(it, 'locals/x', TESTING_LIVE);
    await holds(it);
    for (const times of [1, 2]) {
      await it.until(() => it.lines.filter((line) => line.includes('cannot be committed')).length === times);
      it.clock.advance(5000);
    }
    await reaches(it, 'locals/x', UPDATED);
  });

  const LAST_ENDS = [
    ['SYSTEM_CONTAINER_DOWN', { group: 'root' }, 0],
    ['RECOVERY_EXHAUSTED', { group: 'app', auto_recovery: { ...RETRY, max_retries: 1, backoff_policy: 'reboot' } }, 1],
  ] as const;
  for (const [code, base, ends] of LAST_ENDS) {
    it(`has its reboot for ${code} asked for where that comes while the commit is written`, async () => {
      const it = await open({ a: APP, base });
      for (let end = 0; end < ends; end += 1) {
        it.world.exit('base', FAILED);
        await it.untilStatus('base', 'RECOVERING');
        it.clock.advance(RETRY.retry_delay * 1000);
        await it.untilStatus('base', 'STARTED');
        it.clock.advance(RETRY.stable_timeout * 1000);
      }
      await install(it, 'locals/x', { a: { ...APP, logs: [] }, base });
      it.onBootWrite = async ({ trying, updated }) => {
        if (trying !== undefined || updated === undefined) return;
        it.world.exit('base', FAILED);
        await it.untilStatus('base', 'STOPPED');
      };
      assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'accepted');
      await reaches(it, 'locals/x', TESTING_LIVE);
      await holds(it);
      await reaches(it, 'locals/x', UPDATED);
      await it.until(() => it.reboots.length > 0);
      assert.deepEqual(it.reboots, [code]);
    });
  }

  it('has no second reboot asked for when state-svc restarts after that', async () => {
    const it = await open({ a: APP, base: { group: 'root' } });
    await install(it, 'locals/x', { a: { ...APP, logs: [] }, base: { group: 'root' } });
    it.onReboot = () => false;
    it.onBootWrite = async ({ trying, updated }) => {
      if (trying !== undefined || updated === undefined) return;
      it.onBootWrite = () => undefined;
      it.world.exit('base', FAILED);
      await it.untilStatus('base', 'STOPPED');
    };
    assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'accepted');
    await reaches(it, 'locals/x', TESTING_LIVE);
    await holds(it);
    await it.until(() => it.lines.some((line) => line.includes('no more reboots for SYSTEM_CONTAINER_DOWN')));
    await (await it.boot()).settled;
    await it.untilStatus('base', 'STOPPED');
    assert.deepEqual(it.reboots, ['SYSTEM_CONTAINER_DOWN']);
  });

  it('that is given up without a reboot has the one asked for that a container needs which stays', async () => {
    const base = { group: 'app', auto_recovery: { ...RETRY, max_retries: 1, backoff_policy: 'reboot' } };
    const it = await open({ a: APP, base });
    await install(it, 'locals/x', { a: { ...APP, logs: [] }, base });
    assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'accepted');
    await it.untilStatus('a', 'STARTED');
    it.world.exit('base', FAILED);
    await it.untilStatus('base', 'RECOVERING');
    it.clock.advance(RETRY.retry_delay * 1000);
    await it.untilStatus('base', 'STARTED');
    it.world.exit('base', FAILED);
    await reaches(it, 'locals/x', 'A container could not be started');
    await it.until(() => it.reboots.length > 0);
    assert.deepEqual(
      [it.reboots, onDisk(it).revision, (await it.rows()).base?.status],
      [['RECOVERY_EXHAUSTED'], '0', 'STOPPED'],
    );
  });

  it('stays committed where state-svc itself fails at what else may run', async () => {
    const it = await open({ a: APP });
    await install(it, 'locals/x', { a: APP, b: APP });
    assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'accepted');
    await reaches(it, 'locals/x', TESTING_LIVE);
    it.onRead = () => {
      throw new Error('a bug');
    };
    await holds(it);
    await it.until(() => it.lines.some((line) => /revisions that may run are not known: Error: a bug/.test(line)));
    assert.equal(onDisk(it).updated.revision, 'locals/x');
    assert.deepEqual(it.reboots, []);
  });
});
