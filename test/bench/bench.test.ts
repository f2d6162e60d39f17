// What the bench makes of its figures: goals, table, comparison, chart, and the word on a noisy machine.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseBenchArguments } from '../../scripts/bench/bench-arguments.ts';
import { renderChart } from '../../scripts/bench/chart.ts';
import { compareReports, renderComparison } from '../../scripts/bench/compare.ts';
import { noiseWarning, spreadOf } from '../../scripts/bench/noise.ts';
import { parseReport, type Report } from '../../scripts/bench/report.ts';
import { isGoalMet, type Row } from '../../scripts/bench/row.ts';
import { renderRows } from '../../scripts/bench/table.ts';

const start: Row = { name: 'start', unit: 'ms', value: 240, better: 'lower', goal: '≤ 250 ms' };
const memory: Row = {
  name: 'memory',
  unit: 'MB',
  value: 70,
  better: 'lower',
  goal: 'ratio ≤ 1.3, ≤ 95 MB',
  baseline: { name: 'bare', value: 50 },
};
const rate: Row = { name: 'rate', unit: '/s', value: 12_000, better: 'higher', goal: '≥ 10,000, ratio ≥ 0.5' };

function reportOf(rows: readonly Row[], spread = 0.05): Report {
  const about = { takenAt: '2026-01-01T00:00:00.000Z', node: '20.19.0', processors: 2 };
  return { ...about, spread, rows: [...rows], missing: [] };
}

function verdictOf(before: Row, now: Row, spread = 0.05): string | undefined {
  return compareReports(reportOf([before], spread), reportOf([now]))[0]?.verdict;
}

describe('bench.goals', () => {
  it('holds the value or the ratio against each clause', () => {
    assert.equal(isGoalMet(start), true);
    assert.equal(isGoalMet({ ...start, value: 251 }), false);
    assert.equal(isGoalMet(memory), false);
    assert.equal(isGoalMet({ ...memory, value: 64 }), true);
    assert.equal(isGoalMet({ ...rate, baseline: { name: 'bare', value: 20_000 } }), true);
    assert.equal(isGoalMet({ ...rate, baseline: { name: 'bare', value: 30_000 } }), false);
    assert.equal(isGoalMet({ ...start, goal: undefined }), undefined);
  });
  it('refuses a goal that it cannot read', () => {
    assert.throws(() => isGoalMet({ ...start, goal: 'fast' }), /goal of 'start'/);
  });
});

describe('bench.table', () => {
  it('shows value, baseline, ratio, goal and whether it is met, and what is missing', () => {
    const missing = [{ name: 'broker beside dbus-broker', missing: 'not here' }];
    assert.equal(
      renderRows([start, memory], missing),
      [
        'row                        value          baseline      ratio  goal',
        'start                      240 ms                              ≤ 250 ms              met',
        'memory                     70 MB          50 MB (bare)  1.4    ratio ≤ 1.3, ≤ 95 MB  not met',
        'broker beside dbus-broker  not available  not here',
      ].join('\n'),
    );
  });
});

describe('bench.compare', () => {
  it('calls a figure slower or faster by the way it is better', () => {
    assert.equal(verdictOf(start, { ...start, value: 300 }), 'slower');
    assert.equal(verdictOf(start, { ...start, value: 200 }), 'faster');
    assert.equal(verdictOf(start, { ...start, value: 250 }), 'the same');
    assert.equal(verdictOf(rate, { ...rate, value: 9_000 }), 'slower');
    assert.equal(verdictOf(rate, { ...rate, value: 15_000 }), 'faster');
  });
  it('goes by the ratio where both have the same baseline', () => {
    const slowMachine = { ...memory, value: 140, baseline: { name: 'bare', value: 100 } };
    assert.equal(verdictOf(memory, slowMachine, 3), 'the same');
    assert.equal(verdictOf(memory, { ...slowMachine, value: 180 }, 3), 'slower');
  });
  it('does not tell what the spread of either run hides', () => {
    assert.equal(verdictOf(start, { ...start, value: 300 }, 0.5), 'cannot be told');
  });
  it('leaves out what only one of them has, and puts the worst first', () => {
    const before = reportOf([start, rate, memory]);
    const now = reportOf([
      { ...rate, value: 11_000 },
      { ...start, value: 480 },
    ]);
    const [head, first, second, ...rest] = renderComparison(compareReports(before, now)).split('\n');
    assert.match(head ?? '', /^row +before +now +worse by$/);
    assert.match(first ?? '', /^start +240 ms +480 ms +100 % +slower$/);
    assert.match(second ?? '', /^rate /);
    assert.deepEqual(rest, []);
    assert.equal(renderComparison(compareReports(reportOf([]), now)), 'no row is in both');
  });
  it('finds a run the same as itself', () =>
    fc.assert(
      fc.property(fc.double({ min: 0.001, max: 1e9, noNaN: true }), (value) => {
        assert.equal(verdictOf({ ...start, value }, { ...start, value }), 'the same');
      }),
    ));
});

describe('bench.report', () => {
  it('reads what it wrote', () => {
    const report = reportOf([{ ...start, baseline: undefined }, memory]);
    assert.deepEqual(parseReport(JSON.stringify(report), 'x.json'), JSON.parse(JSON.stringify(report)));
  });
  it('says of anything else that it is no report', () => {
    for (const text of ['', '[]', '{"rows":[]}', 'null']) {
      assert.deepEqual(Object.keys(parseReport(text, 'x.json')), ['wrong'], text);
    }
  });
});

describe('bench.chart', () => {
  it('is one SVG with a bar for each figure and baseline, whatever names are made of', () => {
    const svg = renderChart([start, { ...memory, name: 'a < b & "c"' }], 'Berth');
    assert.equal(svg.match(/<rect class=/g)?.length, 3);
    assert.match(svg, /a &lt; b &amp; &quot;c&quot;/);
    assert.match(svg, /class="missed"/);
    assert.doesNotMatch(svg, /href|url\(|<script/);
  });
});

describe('bench.noise', () => {
  it('measures how far slow tries are from the middle one', () => {
    assert.equal(spreadOf([]), 0);
    assert.equal(spreadOf([2, 2, 2, 2, 2, 2, 2, 2, 2, 2]), 0);
    assert.equal(spreadOf([1, 1, 1, 1, 1, 1, 1, 1, 1, 3]), 2);
  });
  it('warns of a spread or a load that hides differences, and of nothing else', () => {
    assert.equal(noiseWarning(0.1, 0.4, 2), undefined);
    assert.match(noiseWarning(0.4, 0.4, 2) ?? '', /too noisy to tell: the same work took up to 40 % longer/);
    assert.match(noiseWarning(0.1, 3, 2) ?? '', /3\.0 processes wanted 2 processors/);
  });
});

describe('bench.arguments', () => {
  const groups = ['tree', 'broker'];
  const wrongOf = (...argv: string[]): unknown => Reflect.get(parseBenchArguments(argv, groups), 'wrong');
  it('runs all rows, or those that are named', () => {
    assert.deepEqual(parseBenchArguments([], groups), {
      names: groups,
      json: false,
      compare: undefined,
      out: 'bench-results/latest.json',
    });
    assert.deepEqual(Reflect.get(parseBenchArguments(['--rows', 'broker', 'broker'], groups), 'names'), ['broker']);
  });
  it('says what is wrong and what there is', () => {
    assert.equal(wrongOf('--rows', 'trees'), 'no rows named trees; there are tree, broker');
    assert.equal(wrongOf('--rows'), '--rows needs a name: tree, broker');
    assert.equal(wrongOf('tree'), 'tree: name rows after --rows');
    assert.match(String(wrongOf('--row', 'tree')), /Unknown option '--row'/);
    assert.match(String(wrongOf('--compare')), /--compare/);
    assert.equal(wrongOf('--out', 'x.txt'), '--out x.txt: must end in .json');
  });
});
