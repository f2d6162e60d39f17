// One ssh connection to a target: commands, files and its control socket all go through it.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Outcome } from '../target.ts';

export interface SecureShell {
  /** The target's control socket, on this machine. */
  readonly socket: string;
  run(command: readonly string[]): Promise<Outcome>;
  start(command: readonly string[]): ChildProcess;
  copyTo(from: string, to: string): Promise<void>;
  copyFrom(from: string, to: string): Promise<void>;
  /** Tries until it is in or `timeoutMs` are over. */
  connect(timeoutMs: number): Promise<void>;
  /** Leaves the target as it is. */
  disconnect(): Promise<void>;
  /** And removes its sockets. */
  close(): Promise<void>;
}

const RUN_TIMEOUT_MS = 240_000;
const RETRY_MS = 250;

/** `host` and `options` as ssh(1) takes them; `remoteSocket`: the control socket there. */
export function secureShell(
  host: string,
  options: readonly string[],
  remoteSocket: string,
  program = 'ssh',
): SecureShell {
  // Short: a socket's path has 107 bytes (unix(7)).
  const folder = mkdtempSync(join(tmpdir(), 'berth-hw-'));
  const control = join(folder, 'ssh');
  const socket = join(folder, 'pv-ctrl');
  const always = ['-o', 'BatchMode=yes', '-o', 'LogLevel=ERROR', ...options];
  // Never past the connection: a command that got in by itself after a reboot would hide that the socket leads nowhere.
  const along = ['-S', control, '-o', 'ControlMaster=no', '-o', 'ProxyCommand=false'];
  let main: ChildProcess | undefined;

  const start = (command: readonly string[], stdin: 'ignore' | 'pipe' = 'ignore'): ChildProcess =>
    spawn(program, [...always, ...along, '--', host, command.map(quoted).join(' ')], {
      stdio: [stdin, 'pipe', 'pipe'],
    });
  const disconnect = async (): Promise<void> => {
    const ended = main;
    main = undefined;
    if (ended === undefined || ended.exitCode !== null || ended.signalCode !== null) return;
    await new Promise((resolve) => {
      ended.once('exit', resolve);
      ended.kill('SIGKILL');
    });
    rmSync(control, { force: true });
  };
  /** Undefined: it is in. */
  const attempt = async (): Promise<string | undefined> => {
    rmSync(control, { force: true });
    const forward = [
      '-o',
      'StreamLocalBindUnlink=yes',
      '-o',
      'ExitOnForwardFailure=yes',
      '-L',
      `${socket}:${remoteSocket}`,
    ];
    const alive = ['-o', 'ConnectTimeout=10', '-o', 'ServerAliveInterval=5', '-o', 'ServerAliveCountMax=12'];
    // Whatever ~/.ssh/config says: it is to end when this process ends it.
    const own = ['-M', '-N', '-S', control, '-o', 'ControlPersist=no'];
    const child = spawn(program, [...always, ...own, ...alive, ...forward, '--', host], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let words = '';
    let ended = false;
    child.stderr.on('data', (chunk: Buffer) => {
      words += chunk.toString();
    });
    child.once('error', (error) => {
      words += error.message;
      ended = true;
    });
    child.once('exit', () => {
      ended = true;
    });
    main = child;
    while (!ended && !existsSync(control)) await delay(20);
    return ended ? words.trim() : undefined;
  };

  return {
    socket,
    disconnect,
    start,
    run: (command) => finished(start(command), command.join(' ')),
    async copyTo(from, to) {
      const packed = spawn('tar', ['-C', dirname(from), '-cf', '-', basename(from)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const unpack = start(['sh', '-c', 'mkdir -p "$1" && exec tar -C "$1" -xf -', 'sh', to], 'pipe');
      if (unpack.stdin !== null) packed.stdout.pipe(unpack.stdin);
      await succeeded(unpack, `copying ${from} to ${to}`);
    },
    async copyFrom(from, to) {
      const pack = start(['tar', '-C', dirname(from), '-cf', '-', basename(from)]);
      const unpack = spawn('tar', ['-C', to, '-xf', '-'], { stdio: ['pipe', 'ignore', 'pipe'] });
      pack.stdout?.pipe(unpack.stdin);
      await succeeded(unpack, `copying ${from} from ${host}`);
    },
    async connect(timeoutMs) {
      const end = performance.now() + timeoutMs;
      for (;;) {
        const problem = await attempt();
        if (problem === undefined) return;
        if (performance.now() > end) throw new Error(`ssh ${host}: not in within ${timeoutMs} ms: ${problem}`);
        await delay(RETRY_MS);
      }
    },
    async close() {
      await disconnect();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** For the shell that sshd starts. */
function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

function finished(child: ChildProcess, what: string): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    let [stdout, stderr] = ['', ''];
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`${what}: not done within ${RUN_TIMEOUT_MS} ms; so far: ${stdout}${stderr}`));
    }, RUN_TIMEOUT_MS);
    child.stdout?.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    child.once('error', reject);
    child.once('close', (status) => {
      clearTimeout(timer);
      // 255: ssh's own failure (ssh(1)).
      if (status === 255) reject(new Error(`${what}: ${stderr.trim() || 'the connection ended'}`));
      else resolve({ status, stdout, stderr });
    });
  });
}

async function succeeded(child: ChildProcess, what: string): Promise<void> {
  const { status, stderr } = await finished(child, what);
  if (status !== 0) throw new Error(`${what}: ${stderr}`);
}
