// The short form of the hardware tests: a boot and what it needs, in the sandbox.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { text } from 'node:stream/consumers';
import { describe, it } from 'node:test';

const ROOT = join(import.meta.dirname, '../..');
async function hw(...args: readonly string[]): Promise<{ readonly status: number | null; readonly output: string }> {
  // Without what would make it a part of this run of node:test.
  const { NODE_TEST_CONTEXT: _context, ...env } = process.env;
  const child = spawn(
    'setpriv',
    ['--pdeathsig', 'KILL', process.execPath, '--import', 'tsx', 'hw-tests/run.ts', ...args],
    {
      cwd: ROOT,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { status: await ended, output: stdout + stderr };
}

describe('hw.short', () => {
  it('boots a sandbox, and says why it skips what a sandbox cannot do', async () => {
    const { status, output } = await hw('--target', 'local', '--json', '010');
    assert.equal(status, 0, output);
    assert.match(output, /"result":"passed"/);
    assert.match(output, /"result":"skipped".*"reason":"no init starts a sandbox"/);
  });

  it('refuses what it does not know, with its usage', async () => {
    for (const args of [['--target', 'moon'], ['--cuts', 'many'], ['--shine'], ['999']]) {
      const { status, output } = await hw(...args);
      assert.equal(status, 2, `${args.join(' ')}: ${output}`);
      assert.match(output, /usage: npm run hw/);
    }
  });
});
