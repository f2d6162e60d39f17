// The short form of the hardware tests: a boot and what it needs in the sandbox, and five power cuts of an emulated machine.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { text } from 'node:stream/consumers';
import { describe, it } from 'node:test';

const ROOT = join(import.meta.dirname, '../..');
/** An emulated machine boots in half a minute here; on a machine that is busy with other things in many. */
const VM_MS = 18 * 60_000;

/** What is missing for an emulated machine. */
function lacking(): string | undefined {
  if (process.env.BERTH_HW_VM !== '1') return 'takes minutes: BERTH_HW_VM=1 asks for it';
  if (process.arch !== 'x64') return `the virtual device is an x86-64 one, and this machine is ${process.arch}`;
  const missing = ['qemu-system-x86_64', 'apt-get', 'ssh'].filter(
    (name) => !(process.env.PATH ?? '').split(':').some((folder) => existsSync(join(folder, name))),
  );
  return missing.length === 0 ? undefined : `${missing.join(', ')} not installed`;
}

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

  it('keeps its word over five power cuts of a machine that init started it on', { timeout: VM_MS }, async (test) => {
    const lacks = lacking();
    if (lacks !== undefined) return test.skip(lacks);
    const { status, output } = await hw('--target', 'vm', '--seed', '5', '--cuts', '5', '090');
    for (const line of output.split('\n').filter((each) => each.includes('cut: '))) test.diagnostic(line.trim());
    assert.equal(status, 0, output);
  });

  it('refuses what it does not know, with its usage', async () => {
    for (const args of [['--target', 'moon'], ['--cuts', 'many'], ['--shine'], ['999']]) {
      const { status, output } = await hw(...args);
      assert.equal(status, 2, `${args.join(' ')}: ${output}`);
      assert.match(output, /usage: npm run hw/);
    }
  });
});
