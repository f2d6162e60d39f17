// Runs the tests: files given as arguments, or all of them. Finding none is a failure, and so is what they leave behind.
import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import process from 'node:process';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { processes, strangers, strayFiles } from './tests/leftovers.ts';

const ROOT = join(import.meta.dirname, '..');
/** What boots whole trees comes last and alone: these share control groups, loop devices and the machine's two cores. */
const ALONE = [
  'test/budget/',
  'test/integration/',
  'test/control/',
  'test/scenarios/',
  'test/crash/',
  'test/hostile/',
  'test/lxc-svc/',
  'test/net-svc/',
  'test/soak/',
  'test/readme/',
  'test/sandbox/',
];
const FILE_TIMEOUT_MS = 300_000;
/** Boots an emulated machine again and again, on one core: first, while others use the second one. */
const LONG = 'test/hw/';
const LONG_TIMEOUT_MS = 20 * 60_000;
/** Of a whole run: better a red one than one that never ends. */
const RUN_TIMEOUT_MS = 45 * 60_000;
const LEAVING_MS = 5_000;
const INSIDE = 'BERTH_TESTS_INSIDE';
// The first process of a pid namespace: it collects orphans, and everything in the namespace ends with it.
const FIRST = '"$@" & wait $!';

function testFiles(): readonly string[] {
  return readdirSync(join(ROOT, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => relative(ROOT, join(ROOT, 'test', name)))
    .sort();
}

/** What failed, with its reason: said once more at the very end, where whoever sees only that looks. */
const failures: string[] = [];

async function runFiles(files: readonly string[], concurrency: number): Promise<boolean> {
  const timeout = files.some((file) => file.startsWith(LONG)) ? LONG_TIMEOUT_MS : FILE_TIMEOUT_MS;
  const known = new Set(processes().map(({ pid }) => pid));
  const tests = run({ files: files.map((file) => join(ROOT, file)), concurrency, timeout });
  let passed = true;
  tests.on('test:fail', ({ todo, name, file, details }) => {
    if (todo !== undefined) return;
    passed = false;
    const { cause = details.error } = details.error;
    const reason = cause instanceof Error ? cause.message : String(cause);
    failures.push(`${relative(ROOT, file ?? '')}: ${name}: ${reason.slice(0, 2_000)}`);
  });
  const report = tests.compose(new spec());
  report.pipe(process.stdout, { end: false });
  await new Promise((resolve) => report.once('end', resolve));
  const left = await strangers(known, LEAVING_MS);
  for (const { pid, parent, command } of left) {
    console.error(`run-tests: left behind: process ${pid}, child of ${parent}: ${command}`);
    process.kill(pid, 'SIGKILL');
  }
  return passed && left.length === 0;
}

async function runInside(files: readonly string[]): Promise<boolean> {
  const alone = files.filter((file) => ALONE.some((folder) => file.startsWith(folder)));
  const together = files.filter((file) => !alone.includes(file));
  together.sort((a, b) => Number(b.startsWith(LONG)) - Number(a.startsWith(LONG)));
  let passed = true;
  if (together.length > 0) passed = (await runFiles(together, 2)) && passed;
  if (alone.length > 0) passed = (await runFiles(alone, 1)) && passed;
  for (const failure of failures) console.error(`run-tests: failed: ${failure}`);
  return passed;
}

/** In a pid namespace of its own: whatever the tests start, nothing outlives them and holds our output open. */
async function runOutside(args: readonly string[]): Promise<boolean> {
  const temporary = mkdtempSync(join(tmpdir(), 'bt-'));
  chmodSync(temporary, 0o755);
  const child = spawn(
    'setpriv',
    [
      ...['--pdeathsig', 'KILL', 'unshare', '--mount', '--pid', '--fork', '--kill-child=SIGKILL', '--mount-proc'],
      ...['--propagation', 'slave', 'sh', '-c', FIRST, 'sh'],
      ...[process.execPath, ...process.execArgv, import.meta.filename, ...args],
    ],
    { cwd: ROOT, stdio: 'inherit', env: { ...process.env, TMPDIR: temporary, [INSIDE]: '1' } },
  );
  const limit = setTimeout(() => {
    console.error(`run-tests: not at its end after ${RUN_TIMEOUT_MS / 60_000} minutes`);
    child.kill('SIGKILL');
  }, RUN_TIMEOUT_MS);
  const passed = await new Promise<boolean>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code === 0));
  });
  clearTimeout(limit);
  const stray = strayFiles(temporary);
  for (const path of stray) console.error(`run-tests: left behind: ${path}`);
  rmSync(temporary, { recursive: true, force: true });
  return passed && stray.length === 0;
}

// With it every Node 20 reads these certificates at its start, 70 ms of CPU each, and the tests start thousands.
delete process.env.NODE_EXTRA_CA_CERTS;

const asked = process.argv.slice(2);
const files = asked.length > 0 ? asked : testFiles();
if (files.length === 0) {
  console.error('run-tests: no test file found');
  process.exit(1);
}
const passed = process.env[INSIDE] === '1' ? await runInside(files) : await runOutside(asked);
process.exit(passed ? 0 : 1);
