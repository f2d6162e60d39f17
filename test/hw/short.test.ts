// The short form of the hardware tests: a boot and five power cuts in the sandbox, and where it is asked for five of an emulated machine.
import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, it, type TestContext } from 'node:test';
import { lacksDisks } from '../../hw-tests/targets/storage-disk.ts';
import { eventually } from '../kit/eventually.ts';

const ROOT = join(import.meta.dirname, '../..');
/** An emulated machine boots in half a minute here; on a machine that is busy with other things in many. */
const VM_MS = 18 * 60_000;
/** Cuts in the middle: of a release, of what is put, of a transition, of what is logged, and about when it is committed. */
const SEED = '175';
const BEGINS_MS = 60_000;

/** What is missing for an emulated machine. */
function lacking(): string | undefined {
  if (process.env.BERTH_HW_VM !== '1') return 'takes minutes: BERTH_HW_VM=1 asks for it';
  if (process.arch !== 'x64') return `the virtual device is an x86-64 one, and this machine is ${process.arch}`;
  const missing = ['qemu-system-x86_64', 'apt-get', 'ssh'].filter(
    (name) => !(process.env.PATH ?? '').split(':').some((folder) => existsSync(join(folder, name))),
  );
  return missing.length === 0 ? undefined : `${missing.join(', ')} not installed`;
}

type Child = ChildProcessByStdio<null, Readable, Readable>;

function start(args: readonly string[], more: Readonly<Record<string, string>> = {}): Child {
  // Without what would make it a part of this run of node:test.
  const { NODE_TEST_CONTEXT: _context, ...env } = process.env;
  // Its disks are mounted where no other test's namespaces take a copy of them, which would keep them in use.
  const alone = ['--pdeathsig', 'KILL', 'unshare', '--mount', '--propagation', 'slave'];
  return spawn('setpriv', [...alone, process.execPath, '--import', 'tsx', 'hw-tests/run.ts', ...args], {
    cwd: ROOT,
    env: { ...env, ...more },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

async function ended(child: Child): Promise<{ readonly status: number | null; readonly output: string }> {
  const exit = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { status: await exit, output: stdout + stderr };
}

const hw = (...args: readonly string[]) => ended(start(args));

async function keepsItsWord(test: TestContext, target: string): Promise<void> {
  const { status, output } = await hw('--target', target, '--seed', SEED, '--cuts', '5', '090');
  for (const line of output.split('\n').filter((each) => /ℹ (cut|power-on)/.test(each))) test.diagnostic(line.trim());
  assert.equal(status, 0, output);
  assert.doesNotMatch(output, /^. skipped [1-9]/m);
}

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
    await keepsItsWord(test, 'local');
  });

  it('keeps its word over five power cuts of a machine that init started it on', { timeout: VM_MS }, async (test) => {
    const lacks = lacking();
    if (lacks !== undefined) return test.skip(lacks);
    await keepsItsWord(test, 'vm');
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
    for (const args of [['--target', 'moon'], ['--cuts', 'many'], ['--shine'], ['999']]) {
      const { status, output } = await hw(...args);
      assert.equal(status, 2, `${args.join(' ')}: ${output}`);
      assert.match(output, /usage: npm run hw/);
    }
  });
});
