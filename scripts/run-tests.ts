// Runs the tests: files given as arguments, or all of them. Finding none is a failure.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import process from 'node:process';

const ROOT = join(import.meta.dirname, '..');
/** What boots whole trees comes last and alone: these share control groups, loop devices and the machine's two cores. */
const ALONE = [
  'test/integration/',
  'test/control/',
  'test/scenarios/',
  'test/crash/',
  'test/lxc-svc/',
  'test/net-svc/',
  'test/readme/',
  'test/sandbox/',
];
const FILE_TIMEOUT_MS = 300_000;

function testFiles(): readonly string[] {
  return readdirSync(join(ROOT, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => relative(ROOT, join(ROOT, 'test', name)))
    .sort();
}

function runFiles(files: readonly string[], concurrency: number): Promise<boolean> {
  const child = spawn(
    process.execPath,
    [
      ...['--import', 'tsx', '--test', `--test-concurrency=${concurrency}`, `--test-timeout=${FILE_TIMEOUT_MS}`],
      ...['--test-reporter=spec', '--test-reporter-destination=stdout', ...files],
    ],
    { cwd: ROOT, stdio: 'inherit' },
  );
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code === 0));
  });
}

const asked = process.argv.slice(2);
const files = asked.length > 0 ? asked : testFiles();
if (files.length === 0) {
  console.error('run-tests: no test file found');
  process.exit(1);
}
const alone = files.filter((file) => ALONE.some((folder) => file.startsWith(folder)));
const together = files.filter((file) => !alone.includes(file));
let passed = true;
if (together.length > 0) passed = (await runFiles(together, 2)) && passed;
if (alone.length > 0) passed = (await runFiles(alone, 1)) && passed;
process.exit(passed ? 0 : 1);
