// How far a revision has come: as a number, and as it is read from a file that Pantavisor, or an earlier or later build, has written.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isApplied, type ProgressStage, parseProgress, progressAt } from '../../services/state-svc/step-progress.ts';

describe('the number of a progress', () => {
  const ends = ['done', 'updated', 'factory'] as const;
  const failures = ['badState', 'badSignature', 'notCovered', 'badObject', 'containerFailed', 'goalMissed'] as const;
  const ways: readonly (readonly ProgressStage[])[] = [
    ['ready', 'installed', 'rebooting', 'starting', 'awaitingRollbackPoint', 'awaitingStable', 'awaitingRollbackPoint'],
    ['ready', 'applied', 'installed', 'transitioning', 'awaitingStability', 'awaitingStable', 'awaitingStability'],
    ['ready', 'installed', 'transitioning', 'awaitingStability', 'starting', 'awaitingStability'],
  ];

  it('never goes back during a try, whether it is by reboot or live, or state-svc restarts in it', () => {
    for (const way of ways) {
      const numbers = way.map((stage) => progressAt(stage).progress);
      assert.deepEqual(
        numbers,
        [...numbers].sort((a, b) => a - b),
        way.join(),
      );
      assert.ok(numbers.every((each) => each < 100));
    }
  });

  it('is 100 at every end, so that who waits for that waits for no longer', () => {
    for (const stage of [...ends, ...failures, 'rolledBack', 'internal'] as const)
      assert.equal(progressAt(stage).progress, 100, stage);
  });
});

describe('a progress on disk', () => {
  const read = (value: unknown) => parseProgress(JSON.stringify(value));
  const done = progressAt('factory');

  it('is what was written', () => {
    assert.deepEqual(read(done), done);
    const failed = progressAt('goalMissed', '{"msg":"why"}\n');
    assert.deepEqual(read(failed), failed);
    assert.ok(isApplied(read(progressAt('applied')) ?? done));
  });

  it('may have more keys and lack what says no more than its status', () => {
    const downloads = [{ object_name: 'root.squashfs', object_size: 3 }];
    assert.deepEqual(read({ ...done, downloads, total: null, logs: null }), done);
    assert.deepEqual(read({ status: 'UPDATED' }), { status: 'UPDATED', 'status-msg': '', progress: 100, retries: 0 });
    assert.deepEqual(read({ status: 'ERROR', progress: 170, retries: '2' }), {
      status: 'ERROR',
      'status-msg': '',
      progress: 100,
      retries: 0,
    });
    assert.equal(read({ status: 'TESTING' })?.progress, 75);
  });

  it('of a status that is not Berth’s says nothing, and so does what is none', () => {
    for (const status of ['QUEUED', 'DOWNLOADING', 3]) assert.equal(read({ ...done, status }), undefined);
    for (const other of [{}, [], null, 'DONE']) assert.equal(read(other), undefined);
    assert.equal(parseProgress('{"status":"DO'), undefined);
  });
});
