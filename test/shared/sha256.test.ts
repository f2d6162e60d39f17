import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { sha256 } from '../../shared/digest/sha256.ts';

describe('sha256', () => {
  it('is what OpenSSL says, of any text', () => {
    const text = fc.string({ unit: 'binary', maxLength: 300 });
    fc.assert(
      fc.property(text, (some) => {
        assert.deepEqual(sha256(some), createHash('sha256').update(some).digest());
      }),
    );
  });

  it('is right where the length ends a block, and just misses it', () => {
    for (let length = 0; length <= 130; length += 1) {
      const text = 'a'.repeat(length);
      assert.equal(sha256(text).toString('hex'), createHash('sha256').update(text).digest('hex'));
    }
  });
});
