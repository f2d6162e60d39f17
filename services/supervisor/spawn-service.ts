// Starts the process of one service with the privileges of its contract, its end of the broker's socketpair, and its logs.
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import type { Contract } from '../../shared/ipc/contract.ts';
import { unixSocketPair } from '../../shared/kernel/unix-sockets.ts';
import { LAUNCH_VARIABLE, type Launch } from '../../shared/service/launch.ts';
import { nodeArguments, type Places, setprivArguments } from './spawn-arguments.ts';

export interface SpawnRequest {
  readonly contract: Contract;
  readonly uid: number;
  readonly places: Places;
  readonly launch: Launch;
  /** Becomes its stdout: the write end of its log pipe. */
  readonly logFd: number;
  /** Descriptors that it inherits, from BROKER_FD + 1 on, in this order. */
  readonly inheritedFds: readonly number[];
}

export interface ServiceProcess {
  readonly pid: number;
  /** The broker's end of the socketpair, the caller's to close. */
  readonly brokerFd: number;
  kill(): void;
  /** The last bytes of stderr, one line's worth. */
  lastWords(): string;
}

export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const MAX_LAST_WORDS_BYTES = 2_000;

/** As of Node 22.13 and 23.5. Node itself (allowedNodeEnvironmentFlags) takes 2 ms to tell, before anything has been started. */
export function permissionFlagOf(version: string): '--permission' | '--experimental-permission' {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const isStable = major === 22 ? minor >= 13 : major > 23 || (major === 23 && minor >= 5);
  return isStable ? '--permission' : '--experimental-permission';
}

export const PERMISSION_FLAG = permissionFlagOf(process.versions.node);

/** `onEnd` is called once, also when the process could not be started; not when this throws, as it does for want of memory or descriptors. */
export function spawnService(request: SpawnRequest, onEnd: (end: ProcessEnd) => void): ServiceProcess {
  const [brokerFd, childFd] = unixSocketPair();
  try {
    const child = start(request, childFd);
    return { ...followed(child, onEnd), brokerFd };
  } catch (error) {
    closeSync(brokerFd);
    throw error;
  } finally {
    closeSync(childFd);
  }
}

function start({ contract, uid, places, launch, logFd, inheritedFds }: SpawnRequest, childFd: number): ChildProcess {
  // umask is inherited and setpriv cannot set it.
  return withUmask(contract.privileges.umask, () =>
    spawn(
      'setpriv',
      [
        ...setprivArguments(contract.privileges, uid),
        process.execPath,
        ...nodeArguments(contract, places, PERMISSION_FLAG),
        join(places.program, 'boot.js'),
        join(places.program, `${contract.service}.js`),
      ],
      {
        stdio: ['ignore', logFd, 'pipe', childFd, ...inheritedFds],
        env: cleanEnvironment(launch),
        cwd: '/',
        // A session of its own: Ctrl-C on the supervisor's terminal is the supervisor's business.
        detached: true,
      },
    ),
  );
}

function followed(child: ChildProcess, onEnd: (end: ProcessEnd) => void): Omit<ServiceProcess, 'brokerFd'> {
  const words = collectLastWords(child);
  let ended = false;
  const end = (code: number | null, signal: NodeJS.Signals | null): void => {
    if (ended) return;
    ended = true;
    onEnd({ code, signal });
  };
  child.on('error', (error) => {
    words.add(`${error.message}\n`);
    end(null, null);
  });
  child.on('exit', end);
  return { pid: child.pid ?? 0, kill: () => child.kill('SIGKILL'), lastWords: words.read };
}

function withUmask<T>(mask: number, run: () => T): T {
  const own = process.umask(mask);
  try {
    return run();
  } finally {
    process.umask(own);
  }
}

function cleanEnvironment(launch: Launch): NodeJS.ProcessEnv {
  return {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    // mallopt(3): an arena for each of ten threads that hardly allocate costs a service some 300 KB.
    MALLOC_ARENA_MAX: '1',
    // The same: said, it stays. Otherwise it grows with the first large piece that is freed, and later ones leave gaps that nobody gives back.
    MALLOC_MMAP_THRESHOLD_: '131072',
    [LAUNCH_VARIABLE]: JSON.stringify(launch),
  };
}

function collectLastWords(child: ChildProcess): { add(text: string): void; read(): string } {
  let tail = '';
  const add = (text: string): void => {
    tail = (tail + text).slice(-MAX_LAST_WORDS_BYTES);
  };
  child.stderr?.on('data', (chunk: Buffer) => add(chunk.toString()));
  return { add, read: () => tail.trim() };
}
