// A whole tree in a sandbox, from the bundles in dist/, with an example's revision: what integration and crash tests work on.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import {
  NODE_INSIDE,
  openSandbox,
  PROGRAM_INSIDE,
  type Sandbox,
  STORAGE_INSIDE,
} from '../../scripts/sandbox/sandbox.ts';
import type { ContainerRow } from '../../shared/schema/api.ts';
import { containerRows, get } from './api.ts';
import { eventually } from './eventually.ts';

const ROOT = join(import.meta.dirname, '../..');
export const PROGRAM = join(ROOT, 'dist');
export const EXAMPLES = join(ROOT, 'test/examples');
/** Generous: these machines are slow and shared, and nothing here measures time. */
export const PATIENCE_MS = 60_000;
/** Of a command, and of a supervisor that stops containers one after the other. */
const END_MS = 120_000;

export interface Tree {
  readonly sandbox: Sandbox;
  readonly storage: string;
  /** The same path inside and outside. */
  readonly rundir: string;
  /** The host socket. */
  readonly socket: string;
  /** What the supervisor printed so far. */
  output(): string;
  /** Starts a supervisor, with more options of `berth run` and by another command if given; the previous one must be gone. */
  start(options?: readonly string[], by?: readonly string[]): void;
  /** Resolves with the supervisor's exit code when it ends by itself. */
  ended(): Promise<number | null>;
  /** SIGKILL for the supervisor; resolves when it is gone. */
  killSupervisor(): Promise<void>;
  /** SIGINT, SIGPWR (stop containers) or SIGTERM (keeps them); resolves with its exit code. */
  endSupervisor(signal: 'SIGINT' | 'SIGPWR' | 'SIGTERM'): Promise<number | null>;
  /** Runs a command inside to its end. */
  inside(command: readonly string[]): {
    readonly status: number | null;
    readonly stdout: string;
    readonly stderr: string;
  };
  /** Starts a command inside. */
  spawnInside(command: readonly string[]): ChildProcess;
  /** Resolves with the rows when every container has met its goal. */
  up(): Promise<readonly ContainerRow[]>;
  readLog(name: string): string;
  /**
   * Loop devices over images of this tree's storage; other trees' have the same paths in namespaces of their own. One is there for a
   * moment after its last user: udev(7) looks at it, and some kernels give it back later.
   */
  loopDevices(): readonly string[];
  /** Pids, as this machine counts, of the supervisor and its services. */
  processes(): readonly number[];
  close(): Promise<void>;
}

/** Packs `example` (a folder of test/examples, or any path) into a new storage; `options` are those of `berth pack`. */
export function packExample(example: string, ...options: readonly string[]): string {
  const storage = mkdtempSync(join(tmpdir(), 'berth-storage-'));
  chmodSync(storage, 0o755);
  const source = example.startsWith('/') ? example : join(EXAMPLES, example);
  packInto(storage, source, ...options);
  return storage;
}

/** Packs another revision of the folder `source` into a storage; `options` are those of `berth pack`. */
export function packInto(storage: string, source: string, ...options: readonly string[]): void {
  const { status, stderr } = spawnSync(
    process.execPath,
    [join(PROGRAM, 'berth.js'), 'pack', source, '-o', storage, ...options],
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(`berth pack ${source}: ${stderr}`);
}

/** `command` in a container, as its root and with its capabilities; LXC's tools find it from where its monitor is. */
export function attached(tree: Pick<Tree, 'rundir'>, container: string, command: readonly string[]): readonly string[] {
  const lxc = join(tree.rundir, 'lxc');
  return ['nsenter', `--net=${lxc}/.networks/monitors`, 'lxc-attach', '-P', lxc, '-n', container, '--', ...command];
}

/** None of a process that has gone: services are ended while somebody looks. */
function childrenOf(pid: number): readonly number[] {
  const text = readOrNothing(`/proc/${pid}/task/${pid}/children`).trim();
  return text === '' ? [] : text.split(' ').map(Number);
}

function readOrNothing(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** `storage` becomes the tree's and is removed with it. `program`: a folder with other bundles. Nothing runs yet: call `start`. */
export async function openTree(storage: string, program = PROGRAM): Promise<Tree> {
  const sandbox = await openSandbox({ program, storage }).catch((error: unknown) => {
    rmSync(storage, { recursive: true, force: true });
    throw error;
  });
  const rundir = join(sandbox.shared, 'run');
  const socket = join(rundir, 'pv-ctrl');
  let supervisor: ChildProcess | undefined;
  let output = '';
  const spawnInside = (command: readonly string[]): ChildProcess => {
    const [program, args] = sandbox.enter(command);
    return spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  };
  /** Of the supervisor that was started last: it has ended, and all that it said has been read. */
  let closed: Promise<void> = Promise.resolve();
  const gone = async (): Promise<void> => {
    let limit: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      limit = setTimeout(() => reject(new Error(`the supervisor does not end: ${output}`)), END_MS);
    });
    await Promise.race([closed, late]).finally(() => clearTimeout(limit));
  };
  const running = (): ChildProcess => {
    if (supervisor === undefined) throw new Error('no supervisor was started');
    return supervisor;
  };

  return {
    sandbox,
    storage,
    rundir,
    socket,
    output: () => output,
    start(options = [], by = []) {
      supervisor = spawnInside([
        ...by,
        NODE_INSIDE,
        `${PROGRAM_INSIDE}/berth.js`,
        'run',
        '--storage',
        STORAGE_INSIDE,
        '--rundir',
        rundir,
        ...options,
      ]);
      for (const stream of [supervisor.stdout, supervisor.stderr]) {
        stream?.on('data', (chunk: Buffer) => {
          output += chunk.toString();
        });
      }
      const started = supervisor;
      closed = new Promise((resolve) => started.once('close', () => resolve()));
    },
    async ended() {
      await gone();
      return running().exitCode;
    },
    async killSupervisor() {
      sandbox.signal(running(), 'SIGKILL');
      await gone();
    },
    async endSupervisor(signal) {
      sandbox.signal(running(), signal);
      await gone();
      return running().exitCode;
    },
    inside(command) {
      const [program, args] = sandbox.enter(command);
      const limits = { timeout: END_MS, killSignal: 'SIGKILL' } as const;
      const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', ...limits });
      return { status, stdout, stderr };
    },
    spawnInside,
    up: () =>
      eventually('all goals met', PATIENCE_MS, async () => {
        if (!existsSync(socket)) return undefined;
        const rows = await get(socket, '/containers', containerRows).catch(() => undefined);
        const met = rows?.every((row) => row.status === row.status_goal || row.status === 'READY');
        return rows !== undefined && rows.length > 0 && met === true ? rows : undefined;
      }),
    readLog(name) {
      const path = join(storage, 'logs/current', name);
      return existsSync(path) ? readFileSync(path, 'utf8') : '';
    },
    loopDevices() {
      const images = readdirSync(join(storage, 'objects')).map((name) => statSync(join(storage, 'objects', name)).ino);
      // Raw: the width of its columns follows from whatever else this machine has.
      const { stdout } = spawnSync('losetup', ['--list', '--raw', '--noheadings', '--output', 'NAME,BACK-INO'], {
        encoding: 'utf8',
      });
      const lines = stdout.trim().split('\n').sort();
      return lines.filter((line) => images.includes(Number(line.split(' ')[1])));
    },
    processes() {
      const own = childrenOf(running().pid ?? 0);
      return [...own, ...own.flatMap(childrenOf)];
    },
    async close() {
      try {
        // nsenter stops itself with a supervisor that is stopped, and then never reaps it: its namespace would stay.
        supervisor?.kill('SIGCONT');
        await sandbox.close();
      } finally {
        rmSync(storage, { recursive: true, force: true });
      }
    },
  };
}
