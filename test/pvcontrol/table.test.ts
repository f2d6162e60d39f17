import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { duration } from '../../scripts/pvcontrol/quantities.ts';
import { type Column, renderTable } from '../../scripts/pvcontrol/table.ts';

const columns: readonly Column<{ a: string; b: string }>[] = [
  { title: 'A', cell: ({ a }) => a },
  { title: 'BB', cell: ({ b }) => ({ text: b, tone: 'good' }), align: 'right', dispensable: 1 },
];

describe('pvcontrol.table', () => {
  it('starts a column at the same place in every line, colours or not', () => {
    const rows = [
      { a: 'x', b: '1' },
      { a: 'longer', b: '1000' },
    ];
    assert.equal(
      renderTable(columns, rows, { width: 80, colour: false }),
      'A         BB\nx          1\nlonger  1000\n',
    );
    const coloured = renderTable(columns, rows, { width: 80, colour: true });
    assert.equal(
      coloured.replaceAll('\u001b[32m', '').replaceAll('\u001b[0m', ''),
      'A         BB\nx          1\nlonger  1000\n',
    );
  });

  it('has a line per row and no control character, whatever the cells say', () => {
    const row = fc.record({ a: fc.string({ unit: 'binary' }), b: fc.string() });
    fc.assert(
      fc.property(fc.array(row), fc.integer({ min: 1, max: 200 }), (rows, width) => {
        const text = renderTable(columns, rows, { width, colour: false });
        assert.equal(text.split('\n').length, rows.length + 2);
        // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
        assert.doesNotMatch(text, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
      }),
    );
  });

  it('writes durations in few characters', () => {
    const seconds = [0, 59.9, 60, 3_599, 3_600, 86_399, 86_400, 400 * 86_400, -5];
    assert.deepEqual(seconds.map(duration), ['0s', '59s', '1m', '59m', '1h00m', '23h59m', '1d0h', '400d0h', '0s']);
  });
});
