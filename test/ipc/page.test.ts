import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { allPages, indexAfter, PAGE_BYTES, pageFrom } from '../../shared/ipc/page.ts';

interface Row {
  readonly name: string;
  readonly text: string;
}
const nameOf = ({ name }: Row): string => name;
const lists = fc
  .uniqueArray(fc.nat(999), { maxLength: 60 })
  .chain((numbers) =>
    fc.tuple(
      ...numbers
        .sort((a, b) => a - b)
        .map((number) =>
          fc
            .nat(PAGE_BYTES / 4)
            .map((length): Row => ({ name: String(number).padStart(3, '0'), text: 'ä'.repeat(length / 2) })),
        ),
    ),
  );

describe('ipc.page', () => {
  it('joins to the list that was cut, and no page is larger than it may be', async () => {
    await fc.assert(
      fc.asyncProperty(lists, async (rows) => {
        const joined = await allPages(async (after) => {
          const page = pageFrom(rows, indexAfter(rows, after, nameOf), nameOf);
          assert.ok(page.rows.reduce((sum, row) => sum + Buffer.byteLength(JSON.stringify(row)), 0) <= PAGE_BYTES);
          return page;
        });
        assert.deepEqual(joined, rows);
      }),
      { numRuns: 50 },
    );
  });

  it('has a row that is larger than a page in a page of its own', () => {
    const rows = ['a', 'b'].map((name) => ({ name, text: 'x'.repeat(PAGE_BYTES) }));
    assert.deepEqual(pageFrom(rows, 0, nameOf), { rows: rows.slice(0, 1), next: 'a' });
    assert.deepEqual(pageFrom(rows, 1, nameOf), { rows: rows.slice(1), next: undefined });
  });

  it('goes on after a row that is gone', () => {
    const rows = ['a', 'c'].map((name) => ({ name, text: '' }));
    assert.deepEqual(
      ['', 'a', 'b', 'c', 'd'].map((after) => indexAfter(rows, after, nameOf)),
      [0, 1, 1, 2, 2],
    );
  });

  it('asks no more of a server that promises pages and sends nothing', async () => {
    let asked = 0;
    const rows = await allPages<Row>(async () => {
      asked += 1;
      return { rows: [], next: 'more' };
    });
    assert.deepEqual([rows, asked], [[], 1]);
  });
});
