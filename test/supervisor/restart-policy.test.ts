// When services come back, and when the supervisor says that one comes back too often.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { decideRestart, FRESH, isDegraded, SLOW_RETRY_MS } from '../../services/supervisor/restart-policy.ts';

const ends = (times: readonly number[]) => {
  let history = FRESH;
  return times.map((nowMs) => {
    const decision = decideRestart(history, nowMs, 0, 0);
    history = decision.history;
    return decision;
  });
};

describe('supervisor.restart-policy', () => {
  it('restarts at once, then after 100 ms, 200 ms, 400 ms', () => {
    const delays = ends([0, 10_000, 20_000, 30_000].map((ms) => ms * 10)).map(({ delayMs }) => delayMs);
    assert.deepEqual(delays, [0, 100, 200, 400]);
  });

  it('starts over after ten seconds of health', () => {
    const [, second] = ends([0, 100]);
    assert.equal(decideRestart(second?.history ?? FRESH, 20_000, 10_000, 0).delayMs, 0);
  });

  it('is degraded after more than 5 ends in 30 s and retries every 5 s', () => {
    const decisions = ends([0, 1, 2, 3, 4, 5].map((s) => s * 1_000));
    assert.deepEqual(
      decisions.map(({ degraded }) => degraded),
      [false, false, false, false, false, true],
    );
    assert.equal(decisions.at(-1)?.delayMs, SLOW_RETRY_MS);
    const history = decisions.at(-1)?.history ?? FRESH;
    assert.equal(isDegraded(history, 6_000), true);
    assert.equal(isDegraded(history, 40_000), false);
  });

  it('never waits longer than 5 s, nor a negative time, and remembers a bounded past', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(60_000), fc.nat(60_000), fc.double({ min: 0, max: 0.999, noNaN: true }))),
        (steps) => {
          let history = FRESH;
          let now = 0;
          for (const [gap, up, random] of steps) {
            now += gap;
            const decision = decideRestart(history, now, up, random);
            history = decision.history;
            assert.ok(decision.delayMs >= 0 && decision.delayMs <= SLOW_RETRY_MS);
            assert.ok(history.recent.every((ended) => now - ended < 30_000));
          }
        },
      ),
    );
  });
});
