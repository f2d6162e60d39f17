// `berth run`: starts the supervisor in this process, or in a sandbox that ends with this process.
import { spawn } from 'node:child_process';
import { accessSync, closeSync, constants, realpathSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import process from 'node:process';
import { isClosedFolder, unreachableFolder } from '../../services/supervisor/folders.ts';
import type { Places } from '../../services/supervisor/spawn-arguments.ts';
import { createSettings, findKey, type Written } from '../../shared/config/settings.ts';
import { reasonOf } from '../../shared/kernel/system-error.ts';
import { asksForHelp } from './command-line.ts';
import { parseRunOptions, RUN_USAGE, type RunOptions } from './run-options.ts';
import { seedStorage } from './seed-storage.ts';

/** Programs that the tree starts, and the Debian package that each is in. */
const NEEDED: Readonly<Record<string, string>> = {
  setpriv: 'util-linux',
  mount: 'mount',
  losetup: 'mount',
  'lxc-start': 'lxc',
  'lxc-stop': 'lxc',
};

/** Answers the exit code: 0 ended as asked, 1 could not run, 2 wrong use. */
export async function run(argv: readonly string[]): Promise<number> {
  if (asksForHelp(argv)) {
    console.log(RUN_USAGE);
    return 0;
  }
  const options = parseRunOptions(argv, process.env);
  if ('wrong' in options) {
    console.error(`berth run: ${options.wrong}\nSee berth run --help.`);
    return 2;
  }
  // What is made from here on is for services that run as users of their own.
  process.umask(0o022);
  const problem = missingPiece();
  if (problem !== undefined) {
    console.error(`berth run: ${problem}`);
    return 1;
  }
  return options.sandbox ? await runInSandbox(options) : await runHere(options);
}

function missingPiece(): string | undefined {
  if (process.getuid?.() !== 0) return 'must be root: it makes namespaces, mounts and users’ processes';
  const path = process.env.PATH?.split(delimiter) ?? [];
  const lacks = Object.keys(NEEDED).filter((name) => !path.some((folder) => isExecutable(join(folder, name))));
  if (lacks.length === 0) return undefined;
  const packages = [...new Set(lacks.map((name) => NEEDED[name]))].join(' ');
  return `${lacks.join(', ')} not found in PATH; on Debian: apt-get install ${packages}`;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Where this bundle and the services' are: npm starts commands through a link. */
function programFolder(): string {
  return dirname(realpathSync(process.argv[1] ?? '.'));
}

async function runHere({ storage, rundir, mode, configuration }: RunOptions): Promise<number> {
  const places: Places = { rundir, storage, program: programFolder() };
  for (const path of [places.program, storage, process.execPath]) {
    const folder = unreachableFolder(path);
    if (folder === undefined) continue;
    console.error(
      `berth run: the services' users cannot reach ${path}: ${folder} is closed to others. ` +
        `Move it, or chmod o+x ${folder}, or try --sandbox, which brings its own paths.`,
    );
    return 1;
  }
  const refusal = seedRefusal(storage);
  if (refusal !== undefined) {
    console.error(`berth run: ${refusal}`);
    return 1;
  }
  const { runTree } = await import('./run-tree.ts');
  const { settings, warnings, notes, sysctls } = configuration;
  const written = [...settings.written(), ...said(storage, rundir, mode)];
  const effective = [...createSettings(written).settings.written()];
  return await runTree(places, { mode, settings: effective, warnings, notes, sysctls });
}

/** Gives an empty storage its first revision; answers why that cannot be. */
function seedRefusal(storage: string): string | undefined {
  try {
    if (seedStorage(storage)) {
      console.log(`berth: ${storage} was empty: made revision 0, without containers, with the pool pvcnet on lxcbr0`);
    }
  } catch (error) {
    const reason = reasonOf(error);
    return `${storage} is empty and cannot be given a first revision (${reason}): remount it or make room`;
  }
  return undefined;
}

/** What is true of this run, whoever said it: clients look there for logs and sockets. */
function said(storage: string, rundir: string, mode: string): readonly Written[] {
  const values = {
    PV_STORAGE_MNTPOINT: storage,
    PV_LOG_DIR: join(storage, 'logs'),
    PV_SYSTEM_RUNDIR: rundir,
    PV_SYSTEM_INIT_MODE: mode,
  } as const;
  return Object.entries(values).flatMap(([name, value]) => {
    const key = findKey(name);
    return key === undefined ? [] : [{ key, value, origin: 'command' as const }];
  });
}

async function runInSandbox({ storage, mode, configuration }: RunOptions): Promise<number> {
  const program = programFolder();
  // What is above them does not matter: the sandbox mounts them elsewhere.
  const closed = [program, storage].find(isClosedFolder);
  if (closed !== undefined) {
    console.error(
      `berth run: the services' users cannot enter ${closed}, which is closed to others: chmod o+x ${closed}`,
    );
    return 1;
  }
  // Inside, what it says would name another path than the one that was given.
  const refusal = seedRefusal(storage);
  if (refusal !== undefined) {
    console.error(`berth run: ${refusal}`);
    return 1;
  }
  if (!(await isFree(storage))) return 1;
  // Whoever ends it while it is being made waits until it is: nobody else would take it away.
  let isUnwanted = false;
  let pass = (_: NodeJS.Signals): void => {
    isUnwanted = true;
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => pass(signal));
  // The terminal is gone, and a sandbox does not outlive it.
  process.on('SIGHUP', () => pass('SIGINT'));
  const { NODE_INSIDE, openSandbox, PROGRAM_INSIDE, STORAGE_INSIDE } = await import('../sandbox/sandbox.ts');
  const sandbox = await openSandbox({ program, storage });
  try {
    if (isUnwanted) return 0;
    const rundir = join(sandbox.shared, 'run');
    console.log(`berth: sandbox with control socket ${join(rundir, 'pv-ctrl')} (pvcontrol -s)`);
    const [command, args] = sandbox.enter([
      NODE_INSIDE,
      `${PROGRAM_INSIDE}/berth.js`,
      'run',
      '--storage',
      STORAGE_INSIDE,
      '--rundir',
      rundir,
      '--mode',
      mode,
      // Hooks of the machine are for the machine; who wants to try some says where they are.
      '--set',
      'PV_SYSTEM_LIBDIR=',
      ...configuration.words,
      // Most parameters of the kernel are the machine's, too.
      '--set',
      'BERTH_SYSCTLS=0',
      // Its root is the machine's: nothing is put there.
      '--set',
      'PV_DISK_EXPORTSDIR=',
    ]);
    const child = spawn(command, args, { stdio: 'inherit', detached: true });
    pass = (signal) => sandbox.signal(child, signal);
    return await new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code) => {
        if (code !== 0) console.error(`berth run: in the sandbox, ${storage} is ${STORAGE_INSIDE}`);
        resolve(code ?? 1);
      });
    });
  } finally {
    await sandbox.close();
  }
}

/** Asked out here, too: in there the storage has another name. Once it has its revision: with the lock's file in it, none is empty. */
async function isFree(storage: string): Promise<boolean> {
  const { lockStorage, PREDECESSOR_MS, refuseLeftRunning } = await import('../../services/supervisor/tree-lock.ts');
  try {
    const lock = await lockStorage(storage, PREDECESSOR_MS);
    refuseLeftRunning(storage);
    closeSync(lock);
    return true;
  } catch (error) {
    console.error(`berth run: ${reasonOf(error)}`);
    return false;
  }
}
