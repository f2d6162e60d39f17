import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { durationMs, recover as recoverPlan, retryDelayMs } from '../../services/state-svc/recovery.ts';
import type { AutoRecovery } from '../../shared/revision/revision.ts';

const plan = (over: Partial<AutoRecovery> = {}): AutoRecovery => ({
  policy: 'on-failure',
  maxRetries: 3,
  retryDelaySeconds: 5,
  backoffFactor: 2,
  resetWindowSeconds: 0,
  stableTimeoutSeconds: 30,
  backoffPolicy: 'never',
  ...over,
});
const clean = { kind: 'code', code: 0 } as const;
const failed = { kind: 'code', code: 1 } as const;
const killed = { kind: 'signal', signal: 9 } as const;
const ending = (exit: typeof clean | typeof failed | typeof killed, retries = 0, userStopped = false) => ({
  exit,
  retries,
  userStopped,
});

const recover = (autoRecovery: AutoRecovery | undefined, how: ReturnType<typeof ending>) =>
  recoverPlan({ autoRecovery, restartPolicy: 'container' }, how);

describe('recovery.recover', () => {
  it('leaves policy no, and no policy, alone, with restart policy container', () => {
    assert.deepEqual(recover(undefined, ending(failed)), { kind: 'stay' });
    assert.deepEqual(recover(plan({ policy: 'no' }), ending(failed)), { kind: 'stay' });
  });

  it('has a container of restart policy system down after any end that no recovery allows', () => {
    const system = (autoRecovery: AutoRecovery | undefined, how: ReturnType<typeof ending>) =>
      recoverPlan({ autoRecovery, restartPolicy: 'system' }, how).kind;
    for (const exit of [clean, failed, killed]) {
      assert.equal(system(undefined, ending(exit)), 'down');
      assert.equal(system(plan({ policy: 'no' }), ending(exit)), 'down');
      // The user can stop none: that was of a revision in which this one had another policy.
      assert.equal(system(undefined, ending(exit, 0, true)), 'down');
      assert.equal(system(plan({ policy: 'always' }), ending(exit, 0, true)), 'retry');
    }
    assert.equal(system(plan(), ending(clean)), 'stay');
    assert.equal(system(plan(), ending(failed)), 'retry');
  });

  it('tells a clean exit from a failure only for on-failure', () => {
    for (const policy of ['on-failure', 'always', 'unless-stopped'] as const) {
      assert.equal(recover(plan({ policy }), ending(failed)).kind, 'retry');
      assert.equal(recover(plan({ policy }), ending(killed)).kind, 'retry');
      assert.equal(recover(plan({ policy }), ending(clean)).kind, policy === 'on-failure' ? 'stay' : 'retry');
    }
  });

  it('never touches what the user stopped', () => {
    for (const policy of ['on-failure', 'always', 'unless-stopped'] as const) {
      assert.deepEqual(recover(plan({ policy }), ending(killed, 0, true)), { kind: 'stay' });
    }
  });

  it('waits retry_delay × factor^n and counts', () => {
    const delays = [0, 1, 2].map((retries) => recover(plan(), ending(failed, retries)));
    assert.deepEqual(delays, [
      { kind: 'retry', delayMs: 5000, retries: 1 },
      { kind: 'retry', delayMs: 10_000, retries: 2 },
      { kind: 'retry', delayMs: 20_000, retries: 3 },
    ]);
  });

  it('gives up after max_retries: never, reboot, or a pause after which it starts over', () => {
    assert.deepEqual(recover(plan(), ending(failed, 3)), { kind: 'exhausted', reboot: false });
    const reboot = plan({ backoffPolicy: 'reboot' });
    assert.deepEqual(recover(reboot, ending(failed, 3)), { kind: 'exhausted', reboot: true });
    const pause = plan({ backoffPolicy: '10min' });
    assert.deepEqual(recover(pause, ending(failed, 3)), { kind: 'pause', delayMs: 600_000 });
  });

  it('never gives up with max_retries 0, and no delay outgrows a year', () => {
    fc.assert(
      fc.property(
        fc.nat(),
        fc.double({ min: 0, max: 100, noNaN: true }),
        fc.nat(1_000_000),
        (retries, backoffFactor, delay) => {
          const unlimited = plan({ maxRetries: 0, backoffFactor, retryDelaySeconds: delay });
          assert.equal(recover(unlimited, ending(failed, retries)).kind, 'retry');
          const delayMs = retryDelayMs(unlimited, retries);
          assert.ok(delayMs >= 0 && delayMs <= 365 * 86_400_000, String(delayMs));
        },
      ),
    );
  });
});

describe('recovery.durationMs', () => {
  it('reads what the format names and nothing else', () => {
    assert.deepEqual(['30s', '10min', '1h'].map(durationMs), [30_000, 600_000, 3_600_000]);
    assert.deepEqual(['720h', '9999999999s'].map(durationMs), [30 * 86_400_000, 365 * 86_400_000]);
    assert.deepEqual(['reboot', 'never', '', '5', '-1s', '1.5h', '1 h'].map(durationMs), Array(7).fill(undefined));
  });
});
