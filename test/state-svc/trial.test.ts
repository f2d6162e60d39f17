// When a revision that is tried is committed, and when it is given up.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { judgeTrial, type TrialContainer } from '../../services/state-svc/trial.ts';

const LIMITS = { goalsTimeoutMs: 120, commitDelayMs: 25 };
const WELL: TrialContainer = { name: 'web', goalMet: true, stable: true, waived: false, failure: undefined };
const judge = (change: Partial<TrialContainer>, triedMs: number, heldMs?: number) =>
  judgeTrial([WELL, { ...WELL, name: 'b', ...change }], { triedMs, heldMs }, LIMITS);

describe('a trial', () => {
  it('is committed when everything held for the commit delay', () => {
    assert.deepEqual(judge({}, 10), { kind: 'wait', holds: true, stage: 'delay', lookAgainMs: 25 });
    assert.deepEqual(judge({}, 30, 20), { kind: 'wait', holds: true, stage: 'delay', lookAgainMs: 5 });
    assert.deepEqual(judge({}, 35, 25), { kind: 'commit' });
  });

  it('waits for goals until their timeout, and not beyond', () => {
    assert.deepEqual(judge({ goalMet: false }, 100), { kind: 'wait', holds: false, stage: 'goals', lookAgainMs: 20 });
    const late = judge({ goalMet: false }, 120);
    assert.deepEqual(late, { kind: 'failed', stage: 'goalMissed', reason: 'goals not reached by b' });
  });

  it('waits for containers to become stable, however long that takes', () => {
    const waiting = { kind: 'wait', holds: false, stage: 'stability', lookAgainMs: undefined };
    assert.deepEqual(judge({ stable: false }, 10_000), waiting);
  });

  it('fails at once with a container that will not come up', () => {
    const failed = judge({ goalMet: false, failure: 'was killed by signal 9' }, 1);
    assert.deepEqual(failed, {
      kind: 'failed',
      stage: 'containerFailed',
      reason: 'container b was killed by signal 9',
    });
  });

  it('waits for nobody whom the user stopped', () => {
    assert.equal(judge({ goalMet: false, waived: true }, 200, 25).kind, 'commit');
  });

  it('commits a revision without containers', () => {
    assert.equal(judgeTrial([], { triedMs: 25, heldMs: 25 }, LIMITS).kind, 'commit');
  });
});
