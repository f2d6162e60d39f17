// A short form of `npm run soak`, with a leak of the test's own beside it: that one is found, and nothing else.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { rulesOf } from '../../scripts/soak/figures.ts';
import { growthOf } from '../../scripts/soak/growth.ts';
import { reportText } from '../../scripts/soak/report.ts';
import { soak } from '../../scripts/soak/run.ts';
import type { Tree } from '../kit/tree.ts';

const SEED = 20_260_101;
/** As few as can tell a leak of one per cycle from chance. */
const CYCLES = 14;

function leakOneMount(cycle: number, tree: Tree): void {
  const place = `/run/leak${cycle}`;
  const { status, stderr } = tree.inside(['sh', '-c', 'mkdir "$1" && mount -t tmpfs leak "$1"', 'sh', place]);
  assert.equal(status, 0, stderr);
}

describe('soak.cycles', () => {
  it('leave nothing behind, and what the test itself leaves is found', async (test) => {
    const end = new AbortController();
    const afterCycle = (cycle: number, tree: Tree): void => {
      leakOneMount(cycle, tree);
      if (cycle + 1 === CYCLES) end.abort();
    };
    const report = await soak({ seed: SEED, cycles: CYCLES + 1, signal: end.signal, afterCycle });
    test.diagnostic(reportText(report));
    assert.equal(report.cycles, CYCLES, 'it was ended then');
    const growing = report.verdicts.filter(({ leaks }) => leaks).map(({ name }) => name);
    assert.deepEqual(growing, ['mounts'], reportText(report));
    const mounts = report.verdicts.find(({ name }) => name === 'mounts')?.points ?? [];
    const own = mounts.map(({ cycle, value }) => ({ cycle, value: value - cycle }));
    assert.equal(growthOf(own, rulesOf('mounts')).leaks, false, JSON.stringify(own));
    assert.ok(report.updates > 0 && report.rollbacks > 0, 'there were updates, and one was rolled back');
  });
});
