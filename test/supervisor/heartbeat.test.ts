// How long a service may be silent before it is looked at, and before it is killed.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { patient, pulseOf } from '../../services/supervisor/heartbeat.ts';

const watch = { readyMs: 1_000, beatMs: 500, missedBeats: 6 };

describe('supervisor.heartbeat', () => {
  it('is beating while no beat is overdue by half an interval', () => assert.equal(pulseOf(watch, 740), 'beating'));
  it('is missing from the first overdue beat on', () => assert.equal(pulseOf(watch, 750), 'missing'));
  it('is silent when as many as the contract allows are overdue', () => {
    assert.equal(pulseOf(watch, 3_240), 'missing');
    assert.equal(pulseOf(watch, 3_250), 'silent');
  });
  it('waits twice as long after each time that it was too late, up to sixteen times', () => {
    const given = [0, 1, 2, 4, 9].map((late) => patient(watch, late));
    assert.deepEqual(
      given.map(({ readyMs }) => readyMs),
      [1_000, 2_000, 4_000, 16_000, 16_000],
    );
    assert.deepEqual(
      given.map(({ missedBeats }) => missedBeats),
      [6, 12, 24, 96, 96],
    );
  });
});
