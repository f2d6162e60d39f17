import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { text } from 'node:stream/consumers';
import { describe, it } from 'node:test';

const ROOT = join(import.meta.dirname, '../..');

async function runTests(...files: readonly string[]): Promise<{ readonly code: number; readonly output: string }> {
  // As a run of its own: not inside of this one.
  const { NODE_TEST_CONTEXT: _context, BERTH_TESTS_INSIDE: _inside, NODE_V8_COVERAGE: _coverage, ...env } = process.env;
  const paths = files.map((file) => `test/run-tests/files/${file}.ts`);
  const child = spawn(process.execPath, ['--import', 'tsx', 'scripts/run-tests.ts', ...paths], {
    cwd: ROOT,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = new Promise<number>((resolve) => child.once('exit', (code) => resolve(code ?? -1)));
  const [code, out, errors] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
  return { code, output: out + errors };
}

describe('scripts/run-tests', () => {
  it('passes when every test does', async () => {
    const { code, output } = await runTests('passes');
    assert.equal(code, 0, output);
    assert.match(output, /pass 1/);
  });

  it('fails when one test does', async () => {
    const { code, output } = await runTests('passes', 'fails');
    assert.equal(code, 1, output);
    assert.match(output, /run-tests: failed: test\/run-tests\/files\/fails.ts: .*on purpose/);
  });

  it('fails when a file is not there', async () => {
    const { code, output } = await runTests('nowhere');
    assert.equal(code, 1, output);
  });

  it('fails when tests leave something behind, and names and removes it', async () => {
    const { code, output } = await runTests('leaves-behind');
    assert.equal(code, 1, output);
    assert.match(output, /fail 0/);
    assert.match(output, /left behind: process \d+, child of 1: sleep 60/);
    assert.match(output, /left behind: \/.*forgotten-/);
  });
});
