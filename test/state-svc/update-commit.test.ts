// Commits that the disk does not take, and bugs behind them: what is tried is neither lost nor committed unseen, and state-svc lives on.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { APP, FAILED } from './kit.ts';
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
