import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { createBitmap } from '../../services/ipam-svc/bitmap.ts';
import { crc32, crc32Latin1 } from '../../services/ipam-svc/crc32.ts';

describe('bitmap', () => {
  it('behaves as a sorted set, whatever its size', () => {
    const steps = fc.array(fc.tuple(fc.boolean(), fc.nat(40_000)), { maxLength: 200, size: 'max' });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40_000 }), fc.boolean(), steps, (size, full, changes) => {
        const bitmap = createBitmap(size, full);
        const set = new Set(full ? Array.from({ length: size }, (_, index) => index) : []);
        for (const [add, raw] of changes) {
          const index = raw % size;
          if (add) set.add(index);
          else set.delete(index);
          if (add) bitmap.add(index);
          else bitmap.delete(index);
          assert.equal(bitmap.has(index), add);
        }
        const lowest = [...set].reduce((low, index) => Math.min(low, index), Number.POSITIVE_INFINITY);
        assert.equal(bitmap.lowest() ?? Number.POSITIVE_INFINITY, lowest);
        assert.equal(bitmap.count(), set.size);
      }),
      { numRuns: 60 },
    );
  });

  it('empties a /8 from the front, in order, across its words', () => {
    const bitmap = createBitmap(2 ** 24, true);
    for (let index = 0; index < 70_000; index += 1) {
      assert.equal(bitmap.lowest(), index);
      bitmap.delete(index);
    }
    bitmap.add(3);
    assert.equal(bitmap.lowest(), 3);
  });
});

describe('crc32', () => {
  it('gives the check value of its definition, for bytes and for text', () => {
    assert.equal(crc32(Buffer.from('123456789')), 0xcbf43926);
    assert.equal(crc32Latin1('123456789'), 0xcbf43926);
    assert.equal(crc32(Buffer.from('x123456789y'), 1, 10), 0xcbf43926);
  });
});
