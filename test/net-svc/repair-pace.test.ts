import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { afterPass, CALM, isContested, type Pace, restMs, retryMs } from '../../services/net-svc/repair-pace.ts';

/** Passes that repair something, with the rest that is due after each; answers how many fit. */
function fight(forMs: number, passMs = 10): { repairs: number; pace: Pace; nowMs: number } {
  let pace = CALM;
  let nowMs = 0;
  let repairs = 0;
  while (nowMs < forMs) {
    const pass = { startedMs: nowMs, endedMs: nowMs + passMs, repaired: true, failed: false };
    pace = afterPass(pace, pass);
    repairs += 1;
    nowMs = pass.endedMs + restMs(pace, pass);
  }
  return { repairs, pace, nowMs };
}

describe('the pace of repairs', () => {
  it('slows down against somebody who fights', () => {
    const { repairs, pace, nowMs } = fight(60_000);
    assert.ok(isContested(pace, nowMs));
    assert.ok(repairs < 21 + 60 / 5 + 1, String(repairs));
  });

  it('slows down in a fight also where each pass takes long', () => {
    for (const passMs of [300, 1_000, 3_000]) {
      const { pace, nowMs } = fight(21 * (passMs + 300), passMs);
      assert.ok(isContested(pace, nowMs), `${passMs} ms`);
    }
  });

  it('does not slow down for repairs that are far apart', () => {
    let pace = CALM;
    for (let nowMs = 0; nowMs < 120_000; nowMs += 600) {
      pace = afterPass(pace, { startedMs: nowMs, endedMs: nowMs + 50, repaired: true, failed: false });
      assert.ok(!isContested(pace, nowMs));
    }
  });

  it('is normal again when the fight is over', () => {
    const { pace, nowMs } = fight(10_000);
    const quiet = { startedMs: nowMs + 20_000, endedMs: nowMs + 20_010, repaired: false, failed: false };
    assert.ok(!isContested(afterPass(pace, quiet), quiet.endedMs));
  });

  it('never lets passes take more than a tenth of the time, or a repair more than a third of a second to begin', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 30, noNaN: true }), (tookMs) => {
        const rest = restMs(CALM, { startedMs: 0, endedMs: tookMs, repaired: false, failed: false });
        assert.ok(rest >= 10 * tookMs - 1e-9 && rest <= 300);
      }),
    );
  });

  it('tries again what failed, ever less often, and only that', () => {
    let pace = CALM;
    assert.equal(retryMs(pace), -1);
    const waits: number[] = [];
    for (let i = 0; i < 6; i++) {
      pace = afterPass(pace, { startedMs: i, endedMs: i, repaired: false, failed: true });
      waits.push(retryMs(pace));
    }
    assert.deepEqual(waits, [1_000, 2_000, 4_000, 8_000, 15_000, 15_000]);
    assert.equal(retryMs(afterPass(pace, { startedMs: 9, endedMs: 9, repaired: false, failed: false })), -1);
  });
});
