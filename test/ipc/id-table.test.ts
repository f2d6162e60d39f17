// A table of calls by number is a map, whatever numbers come and go in whatever order.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createIdTable } from '../../shared/ipc/id-table.ts';

/** Few numbers, so that they meet again; many of them with the same last bits, so that they want the same slot. */
const id = fc.oneof(
  fc.nat({ max: 40 }),
  fc.nat({ max: 20 }).map((number) => number * 16 + 3),
  fc.constantFrom(0, 15, 0x7fff_ffff, 0x8000_000f, 0xffff_ffff),
);
const step = fc.record({ id, take: fc.boolean() });

describe('ipc.id-table', () => {
  it('holds what a map would hold', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const table = createIdTable<string>();
        const model = new Map<number, string>();
        for (const [index, { id: number, take }] of steps.entries()) {
          if (take) {
            assert.equal(table.take(number), model.get(number));
            model.delete(number);
          } else {
            table.set(number, `value ${index}`);
            model.set(number, `value ${index}`);
          }
          assert.equal(table.size(), model.size);
        }
        for (const { id: number } of steps) assert.equal(table.get(number), model.get(number));
        assert.deepEqual(new Map(table.entries()), model);
      }),
      { numRuns: 1_000 },
    );
  });
});
