// What the cases of the crash matrix are, and what is said of them.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { complaintAbout, type Ending } from '../../scripts/crash/asking.ts';
import { type CrashCase, crashCase, PHASES, ROUND, titleOf, VICTIMS } from '../../scripts/crash/case.ts';
import { GOALS, summaryOf, summaryText } from '../../scripts/crash/summary.ts';
import { differences } from '../../scripts/sandbox/inventory.ts';

const round = (seed: number, number: number): readonly CrashCase[] =>
  Array.from({ length: ROUND }, (_, index) => crashCase(seed, number * ROUND + index));
const cellOf = ({ phase, strikes }: CrashCase): string => `${phase} ${JSON.stringify(strikes)}`;

describe('crash.cases', () => {
  it('are the same for the same seed and number, and others for another seed', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(5_000), (seed, number) => {
        assert.deepEqual(crashCase(seed, number), crashCase(seed, number));
      }),
    );
    assert.notDeepEqual(round(1, 0), round(2, 0));
  });

  it('have in every round each victim once with each signal in each phase, beside pairs', () => {
    for (const number of [0, 3]) {
      const cells = round(7, number).map(cellOf);
      for (const victim of VICTIMS) {
        for (const signal of ['SIGKILL', 'SIGSTOP']) {
          for (const phase of PHASES) {
            const cell = `${phase} ${JSON.stringify([{ victim, signal }])}`;
            assert.equal(cells.filter((each) => each === cell).length, 1, cell);
          }
        }
      }
      const pairs = round(7, number).filter(({ strikes }) => strikes.length === 2);
      assert.equal(pairs.length, ROUND - VICTIMS.length * 2 * PHASES.length);
      assert.ok(pairs.every(({ strikes: [first, second] }) => first.victim !== second?.victim));
    }
  });

  it('sweep the points of a phase: over five rounds no two of a cell are near each other', () => {
    const points = new Map<string, number[]>();
    for (let number = 0; number < 5; number += 1) {
      for (const crash of round(11, number)) {
        if (crash.strikes.length === 2) continue;
        points.set(cellOf(crash), [...(points.get(cellOf(crash)) ?? []), crash.point]);
      }
    }
    for (const [cell, of] of points) {
      const sorted = [...of].sort((a, b) => a - b);
      assert.ok(sorted.every((point) => point >= 0 && point < 1));
      assert.ok(
        sorted.every((point, index) => index === 0 || point - (sorted[index - 1] ?? 0) > 0.1),
        `${cell}: ${sorted}`,
      );
    }
  });
});

describe('crash.requests', () => {
  const about = (ending: Ending, ctl: boolean, tree: boolean) =>
    complaintAbout({ what: 'GET /x', ms: 1, ending }, { ctl, tree }) === undefined;

  it('are to be answered, with 503 at worst, but by a ctl-svc that was struck or a tree that is not there', () => {
    for (const ctl of [true, false]) {
      for (const tree of [true, false]) {
        assert.ok(about({ kind: 'answer', status: 200, body: '' }, ctl, tree));
        assert.ok(about({ kind: 'answer', status: 503, body: '' }, ctl, tree));
        assert.ok(!about({ kind: 'answer', status: 500, body: '' }, ctl, tree));
        assert.ok(!about({ kind: 'silent', what: '' }, ctl, tree));
        assert.ok(!about({ kind: 'wrong', what: '' }, ctl, tree));
        assert.equal(about({ kind: 'broken', what: '' }, ctl, tree), ctl || tree);
        assert.equal(about({ kind: 'refused', what: '' }, ctl, tree), tree);
      }
    }
  });
});

describe('crash.inventory', () => {
  it('tells what is there more often than before, and less often', () => {
    const before = { mount: ['a', 'a', 'b'], link: ['lo'] };
    assert.deepEqual(differences(before, before), []);
    assert.deepEqual(differences(before, { mount: ['a', 'b', 'b'], link: ['lo'], rule: ['x'] }), [
      'mount more: b',
      'mount less: a',
      'rule more: x',
    ]);
  });
});

describe('crash.summary', () => {
  const outcome = (number: number, healthyMs: number, failure?: string) => ({
    crash: crashCase(5, number),
    healthyMs,
    restartsMs: [100],
    requests: 10,
    longestAnswerMs: healthyMs,
    packets: 100,
    tookMs: healthyMs,
    struck: 1,
    failure,
  });

  it('has figures beside the goals, and the command that makes a failure again', () => {
    const summary = summaryOf(5, [outcome(0, 500), outcome(1, GOALS.healthyMs + 1), outcome(2, 0, 'pids')]);
    assert.deepEqual([summary.cases, summary.withinGoal, summary.requests, summary.longestAnswerMs], [3, 1, 30, 2_001]);
    assert.equal(summary.failures[0]?.again, 'npm run crash -- --seed 5 --from 2 --count 1');
    assert.match(summary.failures[0]?.what ?? '', new RegExp(`^${titleOf(crashCase(5, 2))}\npids$`));
    assert.match(summaryText(summary), /1 failures\n\nnpm run crash -- --seed 5 --from 2 --count 1\n2: /);
  });

  it('is whole without a single case', () => {
    assert.match(summaryText(summaryOf(1, [])), /^seed 1: 0 cases/);
  });
});
