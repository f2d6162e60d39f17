import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { fewAtATime } from '../../services/state-svc/few-at-a-time.ts';

describe('fewAtATime', () => {
  it('answers for every item in its place, and never has more under way than it may', async () => {
    const delays = fc.array(fc.nat(5), { maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(delays, fc.integer({ min: 1, max: 8 }), async (turns, limit) => {
        let underWay = 0;
        const results = await fewAtATime(turns, limit, async (turn) => {
          underWay += 1;
          assert.ok(underWay <= limit);
          for (let left = turn; left > 0; left -= 1) await new Promise((resolve) => setImmediate(resolve));
          underWay -= 1;
          return turn;
        });
        assert.deepEqual(results, turns);
      }),
    );
  });

  it('rejects when one does', async () => {
    await assert.rejects(
      fewAtATime([1, 2, 3], 2, async (item) => {
        if (item === 2) throw new Error('two');
      }),
      /two/,
    );
  });
});
