// The demo: packs an example into a storage of its own, boots it in a sandbox, shows it, and leaves nothing behind.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { ExecaError, execa } from 'execa';
import { reasonOf } from '../../shared/kernel/system-error.ts';
import { answerHelp, refuse } from '../tests/usage.ts';
import { hidePrograms } from './hide.ts';
import { type Footprint, footprintOf, leftovers, type MachineState, machineState } from './leftovers.ts';
import { NODE_INSIDE, OUTSIDE_ADDRESS, openSandbox, PROGRAM_INSIDE, type Sandbox, STORAGE_INSIDE } from './sandbox.ts';

const ROOT = join(import.meta.dirname, '../..');
const PROGRAM = join(ROOT, 'dist');
const EXAMPLES = join(ROOT, 'test/examples');
const BOOT_MS = 60_000;
const FETCH_MS = 30_000;
const STOP_MS = 30_000;
const GONE_MS = 10_000;
const LOOK_AGAIN_MS = 50;

interface Example {
  /** Its folder. */
  readonly source: string;
  /** Programs that the sandbox is not to have. */
  readonly hidden: readonly string[];
}

interface Demo {
  readonly containers: readonly string[];
  /** By berth pack, and so by the device. */
  readonly refused: boolean;
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

/** Answers whether the example breaks the rules; then it is packed all the same, because what a device says to that is what it shows. */
async function pack(source: string, storage: string): Promise<boolean> {
  say(`packing ${source}`);
  try {
    await command('berth', ['pack', source, '-o', storage]);
    return false;
  } catch (error) {
    // 1 is a refusal; anything else is not about the example.
    if (!(error instanceof ExecaError) || error.exitCode !== 1) throw error;
    console.log(error.stderr);
    say('packing it with --unchecked, to see what a device does with it');
    await command('berth', ['pack', source, '-o', storage, '--unchecked']);
    return true;
  }
}

async function start({ source, hidden }: Example): Promise<Demo> {
  const storage = mkdtempSync(join(tmpdir(), 'berth-storage-'));
  let sandbox: Sandbox | undefined;
  try {
    chmodSync(storage, 0o755);
    const refused = await pack(source, storage);
    say('opening a sandbox: own mount, network and process namespaces, an outside host behind an uplink');
    sandbox = await openSandbox({ program: PROGRAM, storage });
    hidePrograms(sandbox, hidden);
    const rundir = join(sandbox.shared, 'run');
    const [program, args] = sandbox.enter([
      NODE_INSIDE,
      `${PROGRAM_INSIDE}/berth.js`,
      'run',
      '--storage',
      STORAGE_INSIDE,
      '--rundir',
      rundir,
    ]);
    const supervisor = spawn(program, args, { stdio: 'inherit', detached: true });
    const containers = readdirSync(join(source, 'containers')).sort();
    return { containers, refused, sandbox, storage, socket: join(rundir, 'pv-ctrl'), supervisor };
  } catch (error) {
    await sandbox?.close();
    rmSync(storage, { recursive: true, force: true });
    throw error;
  }
}

/** What `pvcontrol --json` prints; undefined while nobody answers. */
function answerTo({ socket }: Demo, question: string): string | undefined {
  if (!existsSync(socket)) return undefined;
  const { stdout } = spawnSync(
    process.execPath,
    [join(PROGRAM, 'pvcontrol.js'), '-s', socket, '--json', ...question.split(' ')],
    { encoding: 'utf8' },
  );
  return stdout === '' ? undefined : stdout;
}

/** Whether every container has met its goal, as `pvcontrol` sees it. */
function allUp(demo: Demo): boolean {
  const answer = answerTo(demo, 'ls');
  if (answer === undefined) return false;
  const rows: unknown = JSON.parse(answer);
  return (
    Array.isArray(rows) &&
    rows.length > 0 &&
    rows.every((row) => row.status === row.status_goal || row.status === 'READY')
  );
}

/** Rejects at once when the supervisor has ended: its own line above says why. */
function untilUp(demo: Demo): Promise<void> {
  const { supervisor, refused } = demo;
  return until(refused ? 'revision refused' : 'containers up', BOOT_MS, () => {
    if (supervisor.exitCode !== null) throw new Error(`the supervisor ended with ${supervisor.exitCode}, see above`);
    return refused ? staysRefused(demo) : allUp(demo);
  });
}

/** After the last of the reboots that it tries. */
function staysRefused(demo: Demo): boolean {
  const answer = answerTo(demo, 'health') ?? '';
  return answer.includes('REVISION_REFUSED') && answer.includes('REBOOT_LOOP');
}

const logFile = ({ storage }: Demo, name: string): string => join(storage, 'logs', 'current', name);
const readLog = (demo: Demo, name: string): string =>
  existsSync(logFile(demo, name)) ? readFileSync(logFile(demo, name), 'utf8') : '';

function showTable({ socket, refused }: Demo): void {
  const question = refused ? 'health' : 'ls';
  spawnSync(process.execPath, [join(PROGRAM, 'pvcontrol.js'), '-s', socket, '--table', question], { stdio: 'inherit' });
}

function suggest({ socket, containers, refused }: Demo): void {
  say('to try from another terminal:');
  console.log(`  alias pv='${PROGRAM}/pvcontrol.js -s ${socket}'`);
  console.log('  pv ls; pv services; pv ipam leases; pv health');
  if (refused) return;
  console.log(`  pv containers restart ${containers.at(-1)}      # it comes back with the same address`);
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
  const console_ = 'net-client/lxc/console.log';
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

async function proveNothingLeft(before: MachineState, footprint: Footprint): Promise<void> {
  const left = (): readonly string[] => leftovers(before, footprint);
  try {
    await until('nothing left', GONE_MS, () => left().length === 0);
  } catch {
    throw new Error(`left behind:\n  ${left().join('\n  ')}`);
  }
  say('nothing is left: no link, address, route, namespace, mount, loop device, rule, control group, process or file');
}

/** Resolves with the first Ctrl-C, or when the terminal is closed. A second one ends this process at once. */
function untilInterrupted(): Promise<void> {
  return new Promise((resolve) => {
    let isAsked = false;
    const end = (): void => {
      if (isAsked) process.exit(1);
      isAsked = true;
      resolve();
    };
    // Not once(): execa kills this process when it finds no listener beside its own.
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, end);
  });
}

async function check(example: Example): Promise<void> {
  const interrupted = untilInterrupted().then(() => {
    throw new Error('interrupted');
  });
  // While the tree starts nobody races it yet.
  interrupted.catch(() => undefined);
  const before = machineState();
  const demo = await start(example);
  let footprint: Footprint | undefined;
  try {
    await Promise.race([untilUp(demo), interrupted]);
    footprint = footprintOf(demo.sandbox, demo.storage);
    showTable(demo);
    // What the other examples promise, the scenarios check.
    if (demo.containers.includes('net-client')) await Promise.race([checkTraffic(demo), interrupted]);
  } catch (error) {
    console.error(readLog(demo, 'pantavisor/pantavisor.log'));
    throw error;
  } finally {
    await stop(demo);
  }
  await proveNothingLeft(before, footprint);
}

async function show(example: Example): Promise<void> {
  const interrupted = untilInterrupted();
  const demo = await start(example);
  try {
    await Promise.race([untilUp(demo), interrupted]);
    showTable(demo);
    suggest(demo);
    say('the log follows; Ctrl-C ends the demo');
    const consoles = demo.containers.map((container) => `${container}/lxc/console.log`);
    const logs = ['pantavisor/pantavisor.log', ...(demo.refused ? [] : consoles)].map((log) => logFile(demo, log));
    const follow = spawn('tail', [`--pid=${process.pid}`, '-n', '+1', '-F', ...logs], {
      stdio: ['ignore', 'inherit', 'ignore'],
      detached: true,
    });
    await interrupted;
    follow.kill();
  } finally {
    await stop(demo);
  }
}

const USAGE = `usage: scripts/demo [EXAMPLE] [--check] [--hide PROGRAM,...]

  EXAMPLE            a folder of test/examples, or how its name begins: 03-two-pools, 03 (01-basic)
  --check            unattended: waits until it does what it shows, stops it, and proves that nothing is left
  --hide PROGRAM,…   programs that the sandbox is not to have, as nft`;

function parseOptions(argv: readonly string[]): { readonly example: Example; readonly unattended: boolean } {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: { check: { type: 'boolean', default: false }, hide: { type: 'string', default: '' } },
  });
  const [name = '01-basic', ...surplus] = positionals;
  if (surplus.length > 0) throw new Error(`one example at a time: ${surplus.join(' ')} is too much`);
  const source = join(EXAMPLES, exampleNamed(name));
  const hidden = values.hide.split(',').filter((program) => program !== '');
  return { example: { source, hidden }, unattended: values.check };
}

/** It, or the first whose name begins so. */
function exampleNamed(start: string): string {
  const names = readdirSync(EXAMPLES).filter((name) => existsSync(join(EXAMPLES, name, 'device.json')));
  const found = names.sort().find((name) => start !== '' && name.startsWith(start));
  if (found === undefined) throw new Error(`no example ${start} in test/examples; there are ${names.join(', ')}`);
  return found;
}

function readOptions(): ReturnType<typeof parseOptions> {
  try {
    return parseOptions(process.argv.slice(2));
  } catch (error) {
    return refuse('demo', reasonOf(error), USAGE);
  }
}

const complain = (error: unknown): void => console.error(`demo: ${reasonOf(error)}`);

// A terminal that was closed is no reason to leave things behind.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);

answerHelp(USAGE);
const options = readOptions();
await (options.unattended ? check(options.example) : show(options.example)).catch((error: unknown) => {
  complain(error);
  process.exitCode = 1;
});
