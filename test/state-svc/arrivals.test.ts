// How long what has come has been here, on a device whose clock is set at any time.
import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { type Arrivals, createArrivals } from '../../services/state-svc/arrivals.ts';
import { createTestClock, type TestClock } from './test-clock.ts';

const DAY_MS = 24 * 60 * 60_000;

describe('state.arrivals', () => {
  let clock: TestClock;
  let arrivals: Arrivals;
  beforeEach(() => {
    clock = createTestClock(0);
    arrivals = createArrivals(clock);
  });

  it('go by a clock that nobody sets, from when it came last', () => {
    arrivals.came('a');
    clock.advance(1_000);
    clock.jump(500 * DAY_MS);
    assert.equal(arrivals.ageMs('a', 0), 1_000);
    arrivals.came('a');
    assert.equal(arrivals.ageMs('a', 0), 0);
  });

  it('go by the file where it was here before, whatever the clock is set to after that', () => {
    clock = createTestClock(3 * DAY_MS);
    arrivals = createArrivals(clock);
    clock.advance(1_000);
    clock.jump(500 * DAY_MS);
    assert.equal(arrivals.ageMs('a', DAY_MS), 2 * DAY_MS + 1_000);
  });

  it('count from when they are first looked at where the file is of a time that is still to come', () => {
    clock.advance(1_000);
    assert.equal(arrivals.ageMs('a', DAY_MS), 0);
    clock.advance(2_000);
    arrivals.forget(1_000);
    assert.equal(arrivals.ageMs('a', DAY_MS), 2_000);
    arrivals.came('a');
    clock.advance(1_000);
    assert.equal(arrivals.ageMs('a', DAY_MS), 1_000);
  });

  it('are forgotten once they are old, and no others, also of what came once more', () => {
    for (const name of ['again', 'old', 'again']) {
      arrivals.came(name);
      clock.advance(1_000);
    }
    clock.advance(1_000);
    // Whatever is forgotten is as old as its file again.
    const ages = () => ['again', 'old'].map((name) => arrivals.ageMs(name, -DAY_MS));
    arrivals.forget(4_000);
    assert.deepEqual(ages(), [2_000, 3_000]);
    arrivals.forget(3_000);
    assert.deepEqual(ages(), [2_000, DAY_MS + 4_000]);
  });
});
