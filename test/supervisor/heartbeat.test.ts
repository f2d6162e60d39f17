// How long a service may be silent before it is killed.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isSilent, patient } from '../../services/supervisor/heartbeat.ts';

const watch = { readyMs: 1_000, beatMs: 1_000, missedBeats: 3 };

describe('supervisor.heartbeat', () => {
  it('is silent when as many as the contract allows are overdue', () => {
    assert.equal(isSilent(watch, 3_490), false);
    assert.equal(isSilent(watch, 3_500), true);
  });
  it('waits twice as long after each time that it was too late, up to sixteen times', () => {
    const given = [0, 1, 2, 4, 9].map((late) => patient(watch, late));
    assert.deepEqual(
      given.map(({ readyMs }) => readyMs),
      [1_000, 2_000, 4_000, 16_000, 16_000],
    );
    assert.deepEqual(
      given.map(({ missedBeats }) => missedBeats),
      [3, 6, 12, 48, 48],
    );
  });
});
