// How long a service may be silent before it is looked at, and before it is killed.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { pulseOf } from '../../services/supervisor/heartbeat.ts';

const watch = { readyMs: 1_000, beatMs: 500, missedBeats: 6 };

describe('supervisor.heartbeat', () => {
  it('is beating while no beat is overdue by half an interval', () => assert.equal(pulseOf(watch, 740), 'beating'));
  it('is missing from the first overdue beat on', () => assert.equal(pulseOf(watch, 750), 'missing'));
  it('is silent when as many as the contract allows are overdue', () => {
    assert.equal(pulseOf(watch, 3_240), 'missing');
    assert.equal(pulseOf(watch, 3_250), 'silent');
  });
});
