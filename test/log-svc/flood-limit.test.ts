import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createFloodLimit, FLOOD_BURST_BYTES, FLOOD_RATE_BYTES } from '../../services/log-svc/flood-limit.ts';

const CHUNK = 64 * 1024;

describe('log-svc.floodLimit', () => {
  it('takes a burst, leaves out what follows, and hears the source again after a pause', () => {
    let nowMs = 0;
    const limit = createFloodLimit(() => nowMs);
    for (let taken = 0; taken < FLOOD_BURST_BYTES; taken += CHUNK) assert.ok(limit.take(CHUNK));
    assert.equal(limit.take(CHUNK), false);
    nowMs += 1_000;
    assert.equal(limit.take(CHUNK), false, 'a second is not enough: it would be cut into pieces');
    assert.equal(limit.leftOut(), undefined);
    nowMs += 4_000;
    assert.equal(limit.leftOut(), 2 * CHUNK);
    assert.equal(limit.leftOut(), undefined);
    assert.ok(limit.take(CHUNK));
  });

  it('counts every byte as taken or left out, and takes no more than a burst and what time brings', () => {
    const step = fc.record({ bytes: fc.integer({ min: 1, max: CHUNK }), afterMs: fc.nat(200) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        let nowMs = 0;
        const limit = createFloodLimit(() => nowMs);
        let [all, taken, left] = [0, 0, 0];
        for (const { bytes, afterMs } of steps) {
          nowMs += afterMs;
          left += limit.leftOut() ?? 0;
          all += bytes;
          if (limit.take(bytes)) taken += bytes;
        }
        left += limit.close() ?? 0;
        assert.equal(taken + left, all);
        assert.ok(taken <= FLOOD_BURST_BYTES + (nowMs / 1000) * FLOOD_RATE_BYTES);
      }),
    );
  });
});
