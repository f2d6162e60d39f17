import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { createSlotIndex } from '../../services/ipam-svc/slot-index.ts';

describe('slot index', () => {
  it('finds what a map finds, however many slots share a hash, as they come and go', () => {
    // Few hashes, and such as stand at the end of the table, where it wraps.
    const hash = fc.oneof(fc.nat(7), fc.nat(0xffffffff), fc.constantFrom(0x5f356495, 0xbe6ac92a));
    const steps = fc.array(fc.tuple(fc.boolean(), fc.nat(199)), { maxLength: 600, size: 'max' });
    fc.assert(
      fc.property(fc.array(hash, { minLength: 200, maxLength: 200 }), steps, (hashes, changes) => {
        const index = createSlotIndex((slot) => hashes[slot] ?? 0);
        const members = new Set<number>();
        for (const [add, slot] of changes) {
          if (!add) index.delete(slot);
          else if (!members.has(slot)) index.add(slot);
          if (add) members.add(slot);
          else members.delete(slot);
          assert.equal(index.count(), members.size);
        }
        for (const [slot, one] of hashes.entries()) {
          assert.equal(index.find(one, (candidate) => candidate === slot) === slot, members.has(slot));
          const any = index.find(one);
          const isShared = [...members].some((other) => hashes[other] === one);
          assert.equal(any !== undefined && members.has(any) && hashes[any] === one, isShared);
        }
      }),
      { numRuns: 60 },
    );
  });
});
