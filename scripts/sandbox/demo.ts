// The demo: packs an example into a storage of its own, boots it in a sandbox, shows it, and leaves nothing behind.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { execa } from 'execa';
import { leftovers, takeInventory } from './leftovers.ts';
import { NODE_INSIDE, OUTSIDE_ADDRESS, openSandbox, PROGRAM_INSIDE, type Sandbox, STORAGE_INSIDE } from './sandbox.ts';

const ROOT = join(import.meta.dirname, '../..');
const PROGRAM = join(ROOT, 'dist');
const BOOT_MS = 60_000;
const FETCH_MS = 30_000;
const STOP_MS = 30_000;
const GONE_MS = 10_000;
const LOOK_AGAIN_MS = 50;

interface Demo {
  readonly sandbox: Sandbox;
  readonly storage: string;
  readonly socket: string;
  readonly supervisor: ChildProcess;
}

function say(line: string): void {
  console.log(`demo: ${line}`);
}

/** Runs one of our own commands from dist/ to its end; rejects with its errors when it fails. */
async function command(name: string, args: readonly string[]): Promise<void> {
  await execa(process.execPath, [join(PROGRAM, `${name}.js`), ...args], { stdin: 'ignore' });
}

async function until(what: string, timeoutMs: number, holds: () => boolean): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await delay(LOOK_AGAIN_MS);
  }
}

async function start(example: string): Promise<Demo> {
  const storage = mkdtempSync(join(tmpdir(), 'berth-storage-'));
  chmodSync(storage, 0o755);
  say(`packing ${example}`);
  await command('berth', ['pack', example, '-o', storage]);
  say('opening a sandbox: own mount, network and process namespaces, an outside host behind an uplink');
  const sandbox = await openSandbox({ program: PROGRAM, storage });
  const rundir = join(sandbox.shared, 'run');
  const [program, args] = sandbox.enter([
    ...[NODE_INSIDE, `${PROGRAM_INSIDE}/berth.js`, 'run', '--storage', STORAGE_INSIDE, '--rundir', rundir],
  ]);
  const supervisor = spawn(program, args, { stdio: 'inherit', detached: true });
  return { sandbox, storage, socket: join(rundir, 'pv-ctrl'), supervisor };
}

/** Whether every container has met its goal, as `pvcontrol` sees it. */
function allUp({ socket }: Demo): boolean {
  if (!existsSync(socket)) return false;
  const { status, stdout } = spawnSync(
    process.execPath,
    [join(PROGRAM, 'pvcontrol.js'), '-s', socket, '--json', 'ls'],
    {
      encoding: 'utf8',
    },
  );
  if (status !== 0) return false;
  const rows: unknown = JSON.parse(stdout);
  return (
    Array.isArray(rows) &&
    rows.length > 0 &&
    rows.every((row) => row.status === row.status_goal || row.status === 'READY')
  );
}

/** Rejects at once when the supervisor has ended: its own line above says why. */
function untilUp(demo: Demo): Promise<void> {
  const { supervisor } = demo;
  return until('containers up', BOOT_MS, () => {
    if (supervisor.exitCode !== null) throw new Error(`the supervisor ended with ${supervisor.exitCode}, see above`);
    return allUp(demo);
  });
}

const logFile = ({ storage }: Demo, name: string): string => join(storage, 'logs', 'current', name);
const readLog = (demo: Demo, name: string): string =>
  existsSync(logFile(demo, name)) ? readFileSync(logFile(demo, name), 'utf8') : '';

function showTable({ socket }: Demo): void {
  spawnSync(process.execPath, [join(PROGRAM, 'pvcontrol.js'), '-s', socket, '--table', 'ls'], { stdio: 'inherit' });
}

function suggest({ socket }: Demo): void {
  say('to try from another terminal:');
  console.log(`  alias pv='${PROGRAM}/pvcontrol.js -s ${socket}'`);
  console.log('  pv ls; pv services; pv ipam leases; pv health');
  console.log('  pv containers restart net-server      # it comes back with the same address');
  console.log(`  pkill -KILL -f ${PROGRAM_INSIDE}/net-svc.js; pv services; pv ls      # containers do not notice`);
}

async function stop(demo: Demo): Promise<void> {
  const { sandbox, supervisor, storage } = demo;
  say('stopping');
  sandbox.signal(supervisor, 'SIGINT');
  await until('stop', STOP_MS, () => supervisor.exitCode !== null || supervisor.signalCode !== null);
  await sandbox.close();
  rmSync(storage, { recursive: true, force: true });
}

/** Waits for both pages in the client's console; prints them and the address that the outside host saw. */
async function checkTraffic(demo: Demo): Promise<void> {
  const console_ = 'net-client/console.log';
  await until('net-client fetched both pages', FETCH_MS, () => {
    const text = readLog(demo, console_);
    return text.includes('server: ') && text.includes('outside: you are ');
  });
  const text = readLog(demo, console_);
  const lineWith = (part: string): string =>
    text
      .split('\n')
      .find((line) => line.includes(part))
      ?.trim() ?? '';
  say(lineWith('server: '));
  say(lineWith('outside: '));
  await until('the outside host saw a request', FETCH_MS, () => demo.sandbox.seenOutside().length > 0);
  say(`outside host ${OUTSIDE_ADDRESS} saw requests from ${[...new Set(demo.sandbox.seenOutside())].join(', ')}`);
}

async function proveNothingLeft(before: ReadonlySet<string>): Promise<void> {
  const left = (): readonly string[] => leftovers(before, takeInventory([process.pid, process.ppid]));
  try {
    await until('nothing left', GONE_MS, () => left().length === 0);
  } catch {
    throw new Error(`left behind:\n  ${left().join('\n  ')}`);
  }
  say('nothing is left: no link, address, route, namespace, mount, loop device, rule, control group, process or file');
}

async function check(example: string): Promise<void> {
  const before = takeInventory([process.pid, process.ppid]);
  const demo = await start(example);
  try {
    await untilUp(demo);
    showTable(demo);
    await checkTraffic(demo);
  } catch (error) {
    console.error(readLog(demo, 'pantavisor/pantavisor.log'));
    throw error;
  } finally {
    await stop(demo);
  }
  await proveNothingLeft(before);
}

async function show(example: string): Promise<void> {
  const demo = await start(example);
  const interrupted = new Promise<void>((resolve) => {
    process.once('SIGINT', () => resolve());
    process.once('SIGTERM', () => resolve());
  });
  try {
    await Promise.race([untilUp(demo), interrupted]);
    showTable(demo);
    suggest(demo);
    say('the log follows; Ctrl-C ends the demo');
    const follow = spawn(
      'tail',
      ['-n', '+1', '-F', logFile(demo, 'pantavisor/pantavisor.log'), logFile(demo, 'net-client/console.log')],
      {
        stdio: ['ignore', 'inherit', 'ignore'],
        detached: true,
      },
    );
    await interrupted;
    follow.kill();
  } finally {
    await stop(demo);
  }
}

const args = process.argv.slice(2);
const name = args.find((arg) => !arg.startsWith('-')) ?? '01-basic';
const example = join(ROOT, 'test/examples', name);
if (!existsSync(example)) {
  console.error(`demo: no example ${name} in test/examples`);
  process.exit(2);
}
await (args.includes('--check') ? check(example) : show(example)).catch((error: unknown) => {
  console.error(`demo: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
});
