import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { createHolderColumn } from '../../services/ipam-svc/holder-column.ts';

describe('holder column', () => {
  it('reads what was written last, whatever was staged or written to others since', () => {
    const holder = fc.oneof(
      fc.stringMatching(/^[a-z]{1,3}\/[a-z]{1,2}$/),
      fc.stringMatching(/^[a-z]{1,63}\/[a-z]{1,15}$/),
    );
    const steps = fc.array(fc.tuple(fc.nat(40), holder, fc.boolean()), { maxLength: 200, size: 'max' });
    fc.assert(
      fc.property(steps, (changes) => {
        const column = createHolderColumn();
        const model = new Map<number, string>();
        const stage = (one: string, asBytes: boolean): number => {
          const line = Buffer.from(`1 lease internal ${one.replace('/', ' ')} 10.0.5.2`);
          return asBytes ? column.stageBytes(line, 17, 17 + one.length) : column.stage(one);
        };
        for (const [slot, one, asBytes] of changes) {
          stage(one, asBytes);
          column.writeStaged(slot);
          model.set(slot, one);
          stage('not/written', !asBytes);
        }
        for (const [slot, one] of model) {
          assert.equal(column.read(slot), one);
          assert.equal(column.hashAt(slot), stage(one, true));
          assert.equal(column.hashAt(slot), stage(one, false));
          for (const [other, another] of model) assert.equal(column.isStaged(other), another === one);
        }
        assert.equal(column.read(41), '');
      }),
      { numRuns: 100 },
    );
  });
});
