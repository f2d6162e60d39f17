// The short form of the hardware tests: a boot and five power cuts in the sandbox.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { lacksDisks } from '../../hw-tests/targets/storage-disk.ts';
import { eventually } from '../kit/eventually.ts';
import { cutsIn, ended, hw, start } from './hw.ts';

/** Cuts in the middle: of a release, of what is put, of a transition, of what is logged, and about when it is committed. */
const SEED = '175';
const BEGINS_MS = 60_000;

describe('hw.short', () => {
  it('boots a sandbox, and says why it skips what a sandbox cannot do', async () => {
    const { status, output } = await hw('--target', 'local', '--json', '010');
    assert.equal(status, 0, output);
    assert.match(output, /"result":"passed"/);
    assert.match(output, /"result":"skipped".*"reason":"no init starts a sandbox"/);
  });

  it('keeps its word over five power cuts of a sandbox, whose disk loses what was not written', async (test) => {
    const lacks = lacksDisks();
    if (lacks !== undefined) return test.skip(lacks);
    const { status, output } = await hw('--target', 'local', '--seed', SEED, '--cuts', '5', '090');
    for (const line of cutsIn(output)) test.diagnostic(line);
    assert.equal(status, 0, output);
    assert.doesNotMatch(output, /^. skipped [1-9]/m);
  });

  it('leaves nothing behind when it is told to end', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'berth-ended-'));
    const made = () => readdirSync(folder, { recursive: true, encoding: 'utf8' });
    const child = start(['--target', 'local', '010'], { TMPDIR: folder });
    const end = ended(child);
    try {
      await eventually('a revision is packed', BEGINS_MS, () => made().some((path) => path.includes('hw-storage-')));
      child.kill('SIGTERM');
      assert.equal((await end).status, 1);
      assert.deepEqual(
        made().filter((path) => path.startsWith('berth-')),
        [],
      );
    } finally {
      child.kill('SIGKILL');
      await end;
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('refuses what it does not know, with its usage', async () => {
    for (const args of [['--target', 'moon'], ['--cuts', 'many'], ['--during', 'lunch'], ['--shine'], ['999']]) {
      const { status, output } = await hw(...args);
      assert.equal(status, 2, `${args.join(' ')}: ${output}`);
      assert.match(output, /usage: npm run hw/);
    }
  });
});
