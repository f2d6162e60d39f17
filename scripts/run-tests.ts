// Runs the tests: files given as arguments, or all of them. Finding none is a failure, and so is what they leave behind.
import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import process from 'node:process';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { reasonOf } from '../shared/kernel/system-error.ts';
import { compileAll, compiledOf, sourceOf } from './tests/compile.ts';
import { processes, strangers, strayFiles } from './tests/leftovers.ts';
import { answerHelp, refuse } from './tests/usage.ts';

const ROOT = join(import.meta.dirname, '..');
/** What boots whole trees comes later, two files at a time: their processes compute, while others mostly wait. */
const TREES = [
  'test/integration/',
  'test/control/',
  'test/scenarios/',
  'test/crash/',
  'test/hostile/',
  'test/lxc-svc/',
  'test/net-svc/',
  'test/soak/',
  'test/readme/',
];
/** These look at the whole machine. */
const ALONE = ['test/budget/', 'test/sandbox/'];
const [OTHERS_AT_ONCE, TREES_AT_ONCE] = [3, 2];
/** What takes longest begins first, so that nobody waits for it at the end. */
const LONGEST = [
  'test/hw/short',
  'test/crash/matrix',
  'test/readme/',
  'test/install/install',
  'test/control/conformance',
  'test/state-svc/lease-return',
  'test/run-tests/',
  'test/crash/',
  'test/hostile/',
  'test/scenarios/',
  'test/berth/',
  'test/pvcontrol/',
];
const FILE_TIMEOUT_MS = 400_000;
/** Boots an emulated machine, which computes on one core for minutes: beside all others, and nobody waits for it but who needs the machine alone. */
const LONG = 'test/hw/emulated';
const LONG_TIMEOUT_MS = 20 * 60_000;
/** Of a whole run: better a red one than one that never ends. */
const RUN_TIMEOUT_MS = 45 * 60_000;
const LEAVING_MS = 5_000;
/** Set for the run in namespaces: `compiled`, or `sources`, which tsx compiles as they are imported. */
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
  const pathOf = process.env[INSIDE] === 'compiled' ? compiledOf : (file: string) => join(ROOT, file);
  const tests = run({ files: files.map(pathOf), concurrency, timeout });
  let passed = true;
  tests.on('test:fail', ({ todo, name, file, details }) => {
    if (todo !== undefined) return;
    passed = false;
    const { cause = details.error } = details.error;
    const reason = reasonOf(cause);
    failures.push(`${sourceOf(file ?? '')}: ${name}: ${reason.slice(0, 2_000)}`);
  });
  const report = tests.compose(new spec());
  report.pipe(process.stdout, { end: false });
  await new Promise((resolve) => report.once('end', resolve));
  return passed;
}

/** Takes away the processes that are left of what ran since `known`; false: there were some. */
async function leavesNone(known: ReadonlySet<number>): Promise<boolean> {
  const left = await strangers(known, LEAVING_MS);
  for (const { pid, parent, command } of left) {
    console.error(`run-tests: left behind: process ${pid}, child of ${parent}: ${command}`);
    process.kill(pid, 'SIGKILL');
  }
  return left.length === 0;
}

const begins = (file: string, names: readonly string[]): boolean => names.some((name) => file.startsWith(name));

/** Of those that are not named, as they are found. */
function longestFirst(files: readonly string[]): readonly string[] {
  const rank = (file: string): number => {
    const place = LONGEST.findIndex((name) => file.startsWith(name));
    return place === -1 ? LONGEST.length : place;
  };
  return [...files].sort((a, b) => rank(a) - rank(b));
}

/** One after the other; true without any. */
async function runGroups(...groups: readonly (readonly [readonly string[], number])[]): Promise<boolean> {
  let passed = true;
  for (const [files, atOnce] of groups) {
    if (files.length > 0) passed = (await runFiles(longestFirst(files), atOnce)) && passed;
  }
  return passed;
}

async function runInside(files: readonly string[]): Promise<boolean> {
  const known = new Set(processes().map(({ pid }) => pid));
  const long = files.filter((file) => file.startsWith(LONG));
  const alone = files.filter((file) => begins(file, ALONE));
  const trees = files.filter((file) => begins(file, TREES));
  const others = files.filter((file) => ![long, alone, trees].some((group) => group.includes(file)));
  const results = await Promise.all([
    runGroups([long, 1]),
    runGroups([others, OTHERS_AT_ONCE], [trees, TREES_AT_ONCE]),
  ]);
  results.push(await leavesNone(known));
  results.push(await runGroups([alone, 1]), await leavesNone(known));
  for (const failure of failures) console.error(`run-tests: failed: ${failure}`);
  return results.every((passed) => passed);
}

/** In a pid namespace of its own: whatever the tests start, nothing outlives them and holds our output open. */
async function runOutside(args: readonly string[]): Promise<boolean> {
  const temporary = mkdtempSync(join(tmpdir(), 'bt-'));
  chmodSync(temporary, 0o755);
  // One file or two are done before all are compiled.
  const compiles = args.length === 0;
  if (compiles) await compileAll();
  const program = compiles
    ? ['--enable-source-maps', compiledOf('scripts/run-tests.ts')]
    : [...process.execArgv, import.meta.filename];
  const child = spawn(
    'setpriv',
    [
      '--pdeathsig',
      'KILL',
      'unshare',
      '--mount',
      '--pid',
      '--fork',
      '--kill-child=SIGKILL',
      '--mount-proc',
      '--propagation',
      'slave',
      'sh',
      '-c',
      FIRST,
      'sh',
      process.execPath,
      ...program,
      ...args,
    ],
    {
      cwd: ROOT,
      stdio: 'inherit',
      env: { ...process.env, TMPDIR: temporary, [INSIDE]: compiles ? 'compiled' : 'sources' },
    },
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

const USAGE = `usage: npm test [-- FILE...]

  FILE   a file of tests; without any, all of them`;
answerHelp(USAGE);
const asked = process.argv.slice(2);
const option = asked.find((word) => word.startsWith('-'));
if (option !== undefined) refuse('run-tests', `no option '${option}'`, USAGE);
const files = asked.length > 0 ? asked : testFiles();
if (files.length === 0) {
  console.error('run-tests: no test file found');
  process.exit(1);
}
const passed = process.env[INSIDE] !== undefined ? await runInside(files) : await runOutside(asked);
process.exit(passed ? 0 : 1);
