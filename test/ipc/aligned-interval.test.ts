// Timers of different processes that go off together.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { alignedInterval, untilNext } from '../../shared/ipc/aligned-interval.ts';

const interval = fc.integer({ min: 1, max: 60_000 });
const clock = fc.double({ min: 0, max: 1e12, noNaN: true });

describe('ipc.aligned-interval', () => {
  it('goes off when the clock passes a multiple of the interval', () =>
    fc.assert(
      fc.property(interval, clock, (intervalMs, nowMs) => {
        const over = (nowMs + untilNext(intervalMs, nowMs)) % intervalMs;
        assert.ok(Math.min(over, intervalMs - over) < 0.01);
      }),
    ));

  it('leaves at least a quarter of an interval and at most five between now and then', () =>
    fc.assert(
      fc.property(interval, clock, (intervalMs, nowMs) => {
        const wait = untilNext(intervalMs, nowMs);
        assert.ok(wait >= intervalMs / 4 && wait <= intervalMs * 1.25);
      }),
    ));

  it('goes off again and again until it is stopped', async () => {
    let runs = 0;
    await new Promise<void>((resolve) => {
      const stop = alignedInterval(2, () => {
        runs += 1;
        if (runs === 3) {
          stop();
          resolve();
        }
      });
    });
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(runs, 3);
  });
});
