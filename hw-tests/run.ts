// What `npm run hw` runs: the tests of this folder on the target that it is told.
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { parseArgs } from 'node:util';
import { reasonOf } from '../shared/kernel/system-error.ts';
import { KINDS } from './cut-kinds.ts';
import { jsonLines } from './json-lines.ts';
import { fetchBusybox } from './targets/board-busybox.ts';

const USAGE = `usage: npm run hw -- [OPTION]... [NUMBER]...

  --target vm|ssh|local   where: an emulated machine, a board, a sandbox of this machine (local)
  --seed N                of what is drawn by chance: the same one cuts at the same moments
  --cuts N                how many power cuts the series makes (100)
  --during KIND           all of them during one: ${KINDS.join(', ')}
  --json                  one line of JSON for each test, instead of text

NUMBERs choose tests: 010 090. hw-tests/README.md says how a board is wired up.`;

const TEST_TIMEOUT_MS = 6 * 3_600_000;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: {
      target: { type: 'string', default: 'local' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      cuts: { type: 'string', default: '100' },
      during: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
    allowPositionals: true,
  });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const wrong = problemOf(values);
  const all = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.hw.ts'));
  const chosen = all
    .filter((name) => positionals.length === 0 || positionals.some((start) => name.startsWith(start)))
    .sort();
  if (wrong !== undefined || chosen.length === 0) {
    console.error(
      `hw: ${wrong ?? `no test begins with ${positionals.join(' or ')}: there are ${all.sort().join(' ')}`}\n\n${USAGE}`,
    );
    return 2;
  }
  console.error(`hw: target ${values.target}, --seed ${values.seed}`);
  Object.assign(process.env, {
    BERTH_HW_TARGET: values.target,
    BERTH_HW_SEED: values.seed,
    BERTH_HW_CUTS: values.cuts,
    ...(values.during === undefined ? {} : { BERTH_HW_DURING: values.during }),
  });
  const files = chosen.map((name) => join(import.meta.dirname, name));
  return await withTemporary(async (folder) => {
    if (values.target === 'ssh' && !fetchedBusybox(folder)) return 1;
    return await passes(files, values.json);
  });
}

/** Tests that are ended from outside take nothing away any more: all that they make is in one folder, which goes. */
async function withTemporary(act: (folder: string) => Promise<number>): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'berth-hw-'));
  // Users of services have business in it.
  chmodSync(folder, 0o755);
  process.env.TMPDIR = folder;
  try {
    return await act(folder);
  } finally {
    for (const path of mountsIn(folder)) spawnSync('umount', ['--lazy', path]);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** For what is packed. False, with the reason said: no container of a test could run. */
function fetchedBusybox(folder: string): boolean {
  try {
    process.env.BERTH_HW_BUSYBOX ??= fetchBusybox(process.env.BERTH_HW_SSH ?? '', folder);
    return true;
  } catch (error) {
    console.error(`hw: ${error instanceof Error ? error.message : String(error)}`);
    return false;
  }
}

function mountsIn(folder: string): readonly string[] {
  const points = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '');
  return points.filter((point) => point.startsWith(`${folder}/`)).reverse();
}

async function passes(files: readonly string[], asJson: boolean): Promise<number> {
  const end = new AbortController();
  let failed = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      failed = true;
      end.abort(new Error(`hw was ended by ${signal}`));
    });
  }
  const tests = run({ files: [...files], concurrency: 1, timeout: TEST_TIMEOUT_MS, signal: end.signal });
  tests.on('test:fail', () => {
    failed = true;
  });
  const report = asJson ? tests.compose(jsonLines) : tests.compose(new spec());
  report.pipe(process.stdout, { end: false });
  await new Promise((resolve) => report.once('end', resolve));
  return failed ? 1 : 0;
}

interface Asked extends Readonly<Record<'target' | 'seed' | 'cuts', string>> {
  readonly during?: string;
}

function problemOf({ target, seed, cuts, during }: Asked): string | undefined {
  if (during !== undefined && !KINDS.some((kind) => kind === during))
    return `--during ${during}: must be one of ${KINDS.join(', ')}`;
  if (!['vm', 'ssh', 'local'].includes(target)) return `--target ${target}: must be vm, ssh or local`;
  for (const [name, value] of Object.entries({ seed, cuts })) {
    if (!/^\d{1,9}$/.test(value)) return `--${name} ${value}: must be a whole number`;
  }
  if (target === 'ssh' && process.env.BERTH_HW_SSH === undefined)
    return 'BERTH_HW_SSH names no board, for instance root@board';
  return undefined;
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    // An option that there is not.
    console.error(`hw: ${reasonOf(error)}\n\n${USAGE}`);
    process.exitCode = 2;
  },
);
