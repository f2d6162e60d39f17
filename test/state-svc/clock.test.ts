import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it, mock } from 'node:test';
import { systemClock } from '../../services/state-svc/clock.ts';

const DAY_MS = 86_400_000;

/** One after the other: what is set within a step begins at the end of it. */
const passDays = (days: number): void => {
  for (let day = 0; day < days; day += 1) mock.timers.tick(DAY_MS);
};

describe('state.systemClock', () => {
  beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }));
  afterEach(() => mock.timers.reset());

  it('waits for as long as it is told, also longer than a timer of Node’s can', () => {
    let ran = 0;
    systemClock.after(60 * DAY_MS, () => {
      ran += 1;
    });
    passDays(59);
    assert.equal(ran, 0);
    // A day more at most for each timer that it took.
    passDays(4);
    assert.equal(ran, 1);
    passDays(60);
    assert.equal(ran, 1);
  });

  it('takes it back whenever it is told to', () => {
    const cancel = systemClock.after(60 * DAY_MS, () => assert.fail('it was taken back'));
    passDays(30);
    cancel();
    passDays(60);
  });

  it('never comes to what is never', () => {
    systemClock.after(Number.POSITIVE_INFINITY, () => assert.fail('it came'));
    passDays(400);
  });
});
