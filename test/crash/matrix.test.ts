// A short form of `npm run crash`. BERTH_SEED repeats a run, BERTH_CASES makes it longer.
import assert from 'node:assert/strict';
import process from 'node:process';
import { describe, it } from 'node:test';
import { series } from '../../scripts/crash/run.ts';
import { summaryOf, summaryText } from '../../scripts/crash/summary.ts';

const SEED = Number(process.env.BERTH_SEED ?? Math.floor(Math.random() * 1_000_000));
const CASES = Number(process.env.BERTH_CASES ?? 60);
/** Each costs the time of a new tree; more of them say no more. */
const MAX_FAILURES = 2;

describe(`crash.matrix (BERTH_SEED=${SEED})`, () => {
  it('costs nobody a pid, a packet, a lease or an answer, and leaves nothing', async (test) => {
    const outcomes = await series({ seed: SEED, from: 0, count: CASES, maxFailures: MAX_FAILURES });
    const summary = summaryOf(SEED, outcomes);
    test.diagnostic(summaryText({ ...summary, failures: [] }));
    assert.equal(summary.failures.length, 0, summaryText(summary));
    assert.equal(outcomes.length, CASES);
    assert.ok(summary.struck > CASES / 2, `${summary.struck} of ${CASES} met somebody`);
  });
});
