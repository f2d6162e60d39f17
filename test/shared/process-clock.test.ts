// What bundles have for `performance`: the same clock, without the rest of Node's.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { describe, it } from 'node:test';
import { build } from 'esbuild';
import { bundleOptions } from '../../scripts/bundles.ts';
import { performance as clock } from '../../shared/time/process-clock.ts';

describe('bundles.performance', () => {
  it('never goes back, and goes as fast as that of Node', () => {
    // One read between two of the other: however long this process is held up, what passed is within what the other saw.
    const [outerStart, start, innerStart] = [performance.now(), clock.now(), performance.now()];
    let last = start;
    while (performance.now() < innerStart + 5) {
      const now = clock.now();
      assert.ok(now >= last);
      last = now;
    }
    const [innerEnd, end, outerEnd] = [performance.now(), clock.now(), performance.now()];
    const [leastMs, passedMs, mostMs] = [innerEnd - innerStart, end - start, outerEnd - outerStart];
    const roundingMs = 0.001;
    assert.ok(passedMs > leastMs - roundingMs && passedMs < mostMs + roundingMs, `${leastMs} ${passedMs} ${mostMs}`);
  });

  it('brings none of node:perf_hooks into memory', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'berth-clock-'));
    try {
      const program = `console.log(performance.now() > 0, process.moduleLoadList.includes('NativeModule perf_hooks'));`;
      writeFileSync(join(folder, 'program.ts'), program);
      const { entryPoints: _, ...options } = await bundleOptions();
      await build({ ...options, entryPoints: [join(folder, 'program.ts')], outdir: folder });
      const { stdout, stderr } = spawnSync(process.execPath, [join(folder, 'program.js')], { encoding: 'utf8' });
      assert.equal(`${stdout}${stderr}`, 'true false\n');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
