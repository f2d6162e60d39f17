// A short form of `npm run crash`. BERTH_SEED repeats a run, BERTH_CASES makes it longer.
import assert from 'node:assert/strict';
import process from 'node:process';
import { describe, it } from 'node:test';
import { series } from '../../scripts/crash/run.ts';
import { summaryOf, summaryText } from '../../scripts/crash/summary.ts';

const SEED = Number(process.env.BERTH_SEED ?? Math.floor(Math.random() * 1_000_000));
const CASES = Number(process.env.BERTH_CASES ?? 60);
/** Milliseconds. A machine on which this is not enough for all of them plays fewer, and says how many. */
const BUDGET_MS = 300_000;
/** Each costs the time of a new tree; more of them say no more. */
const MAX_FAILURES = 2;

describe(`crash.matrix (BERTH_SEED=${SEED})`, () => {
  it('costs nobody a pid, a packet, a lease or an answer, and leaves nothing', async (test) => {
    const budgetMs = process.env.BERTH_CASES === undefined ? BUDGET_MS : Number.POSITIVE_INFINITY;
    const outcomes = await series({ seed: SEED, from: 0, count: CASES, maxFailures: MAX_FAILURES, budgetMs });
    const summary = summaryOf(SEED, outcomes);
    test.diagnostic(summaryText({ ...summary, failures: [] }));
    assert.equal(summary.failures.length, 0, summaryText(summary));
    assert.ok(outcomes.length > 0 && summary.struck > outcomes.length / 2, `${summary.struck} met somebody`);
  });
});
