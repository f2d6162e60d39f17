// Runs a short program as posix_spawn(3) does: the child borrows our memory until it is another program. fork(2), which Node uses, copies
// the page tables of a whole service first and keeps it waiting: 10 ms on a busy board, against 0.2.
import { accessSync, closeSync, constants, readSync } from 'node:fs';
import { join } from 'node:path';
import koffi from 'koffi';
import { kernelError, pipe2 } from '../kernel/libc.ts';
import { openMemoryFile, readMemoryFile } from '../kernel/memory-file.ts';
import { CommandError, ENVIRONMENT } from './run-command.ts';

const libc = koffi.load(null);
const cSpawn: (
  pid: [number],
  path: string,
  actions: Uint8Array,
  attributes: Uint8Array,
  args: readonly (string | null)[],
  environment: readonly (string | null)[],
) => number = libc.func(
  'int posix_spawn(_Out_ int *pid, const char *path, const void *actions, const void *attributes, const char **args, const char **environment)',
);
const cWaitpid: (pid: number, status: Int32Array, options: number) => number = libc.func(
  'int waitpid(int pid, int *status, int options)',
);
const cAttributesInit: (attributes: Uint8Array) => number = libc.func('int posix_spawnattr_init(void *attributes)');
const cSetFlags: (attributes: Uint8Array, flags: number) => number = libc.func(
  'int posix_spawnattr_setflags(void *attributes, short flags)',
);
const cSetDefaults: (attributes: Uint8Array, signals: Uint8Array) => number = libc.func(
  'int posix_spawnattr_setsigdefault(void *attributes, const void *signals)',
);
const cSetMask: (attributes: Uint8Array, signals: Uint8Array) => number = libc.func(
  'int posix_spawnattr_setsigmask(void *attributes, const void *signals)',
);
const cActionsInit: (actions: Uint8Array) => number = libc.func('int posix_spawn_file_actions_init(void *actions)');
const cActionsDestroy: (actions: Uint8Array) => number = libc.func(
  'int posix_spawn_file_actions_destroy(void *actions)',
);
const cAddOpen: (actions: Uint8Array, fd: number, path: string, flags: number, mode: number) => number = libc.func(
  'int posix_spawn_file_actions_addopen(void *actions, int fd, const char *path, int flags, unsigned int mode)',
);
const cAddDup2: (actions: Uint8Array, from: number, to: number) => number = libc.func(
  'int posix_spawn_file_actions_adddup2(void *actions, int from, int to)',
);

/** More than any C library's posix_spawnattr_t, posix_spawn_file_actions_t and sigset_t (glibc: 336, 80, 128). */
const STRUCT_BYTES = 1024;
/** spawn.h, the same in glibc and musl. */
const POSIX_SPAWN_SETSIGDEF = 0x04;
const POSIX_SPAWN_SETSIGMASK = 0x08;
const POSIX_SPAWN_SETSID = 0x80;
/** sys/wait.h */
const WNOHANG = 1;
/** fcntl.h */
const O_CLOEXEC = 0o2000000;
/** What a full pipe holds (pipe(7)); the rest is lost. */
const MAX_STDERR_BYTES = 64 * 1024;
const MAX_STDOUT_BYTES = 1024 * 1024;

/** Between looks for the end of what was killed. */
const KILLED_LOOK_MS = 20;

export interface LightOptions {
  /** Without it stdin is empty. */
  readonly input?: string;
  /** Beside the clean environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Otherwise it goes nowhere. */
  readonly keepsOutput?: boolean;
}

export interface LightResult {
  /** Null: a signal ended it. */
  readonly exitCode: number | null;
  /** Empty unless it was to be kept. */
  readonly stdout: string;
  readonly stderr: string;
}

interface Child {
  readonly pid: number;
  readonly stderrFd: number;
  /** A file in memory. */
  readonly stdoutFd: number | undefined;
  ended(status: number): void;
}

/** Whose end is not known yet. */
const children = new Set<Child>();

function look(): void {
  const status = new Int32Array(1);
  for (const child of children) {
    if (cWaitpid(child.pid, status, WNOHANG) !== child.pid) continue;
    children.delete(child);
    child.ended(status[0] ?? 0);
  }
  if (children.size === 0) process.off('SIGCHLD', look);
}

let signals: Uint8Array | undefined;

/** Signals as a fresh program has them: nothing blocked, and nothing ignored that Node ignores. */
function freshSignals(): Uint8Array {
  if (signals !== undefined) return signals;
  const attributes = Buffer.alloc(STRUCT_BYTES);
  // Bits, as sigset_t is one; sigfillset(3) leaves the C library's own two out, which would be ignored then.
  const [all, none] = [Buffer.alloc(STRUCT_BYTES, 0xff), Buffer.alloc(STRUCT_BYTES)];
  cAttributesInit(attributes);
  cSetDefaults(attributes, all);
  cSetMask(attributes, none);
  cSetFlags(attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID);
  signals = attributes;
  return attributes;
}

/** Where a name was found last: looked at first. */
const lastPaths = new Map<string, string>();

/** `file`: absolute, or a name looked up in the standard directories. Undefined: nowhere. */
function programPath(file: string): string | undefined {
  const last = lastPaths.get(file);
  if (last !== undefined && isProgram(last)) return last;
  const candidates = file.startsWith('/') ? [file] : ENVIRONMENT.PATH.split(':').map((folder) => join(folder, file));
  const path = candidates.find(isProgram);
  if (path !== undefined) lastPaths.set(file, path);
  return path;
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Descriptors of our own, each closed where it is no longer needed. */
interface Ends {
  readonly stdin: number | undefined;
  readonly stdout: number | undefined;
  readonly stderr: { readonly readFd: number; readonly writeFd: number };
}

function closeAll(fds: readonly (number | undefined)[]): void {
  for (const fd of fds) if (fd !== undefined) closeSync(fd);
}

function openEnds({ input, keepsOutput = false }: LightOptions): Ends {
  const files: number[] = [];
  try {
    if (input !== undefined) files.push(openMemoryFile(input));
    if (keepsOutput) files.push(openMemoryFile());
    const stderr = pipe2(O_CLOEXEC | constants.O_NONBLOCK);
    return {
      stdin: input === undefined ? undefined : files[0],
      stdout: keepsOutput ? files.at(-1) : undefined,
      stderr,
    };
  } catch (error) {
    closeAll(files);
    throw error;
  }
}

function start(file: string, args: readonly string[], options: LightOptions, ended: Child['ended']): Child {
  const path = programPath(file);
  if (path === undefined) throw new CommandError('NOT_FOUND', file, 'there is no such program');
  const { stdin, stdout, stderr } = openEnds(options);
  const actions = Buffer.alloc(STRUCT_BYTES);
  cActionsInit(actions);
  try {
    if (stdin === undefined) cAddOpen(actions, 0, '/dev/null', constants.O_RDONLY, 0);
    else cAddDup2(actions, stdin, 0);
    if (stdout === undefined) cAddOpen(actions, 1, '/dev/null', constants.O_WRONLY, 0);
    else cAddDup2(actions, stdout, 1);
    cAddDup2(actions, stderr.writeFd, 2);
    const pid: [number] = [0];
    const environment = Object.entries({ ...ENVIRONMENT, ...options.env }).map(([key, value]) => `${key}=${value}`);
    const result = cSpawn(pid, path, actions, freshSignals(), [file, ...args, null], [...environment, null]);
    if (result !== 0) throw new CommandError('NOT_STARTED', file, kernelError(result, 'posix_spawn').message);
    return { pid: pid[0], stderrFd: stderr.readFd, stdoutFd: stdout, ended };
  } catch (error) {
    closeAll([stderr.readFd, stdout]);
    throw error;
  } finally {
    cActionsDestroy(actions);
    closeAll([stderr.writeFd, stdin]);
  }
}

/** Undefined: it is too much. */
function outputOf(fd: number | undefined): string | undefined {
  if (fd === undefined) return '';
  try {
    return readMemoryFile(fd, MAX_STDOUT_BYTES);
  } finally {
    closeSync(fd);
  }
}

/** Of all programs: what is read is text before the next read. Nothing of it is in memory before it is needed. */
const words = Buffer.allocUnsafeSlow(MAX_STDERR_BYTES);

/** What is in the pipe at its end; somebody whom the program left behind may hold the other end open. */
function wordsOf(fd: number): string {
  try {
    return words.toString('utf8', 0, readSync(fd, words));
  } catch {
    return '';
  } finally {
    closeSync(fd);
  }
}

/**
 * In a session of its own, from where we are; of what it says on stderr up to 64 KiB are kept. Rejects with CommandError as runCommand
 * does, but for a program that writes too much: that runs to its end first.
 */
export function runLight(
  file: string,
  args: readonly string[],
  timeoutMs: number,
  options: LightOptions = {},
): Promise<LightResult> {
  return new Promise((resolve, reject) => {
    // Before it can end.
    if (children.size === 0) process.on('SIGCHLD', look);
    let isLate = false;
    const ended = (status: number): void => {
      clearTimeout(timer);
      const stderr = wordsOf(child.stderrFd);
      const stdout = outputOf(child.stdoutFd);
      if (isLate) reject(new CommandError('TIMED_OUT', file, `took longer than ${timeoutMs} ms`));
      else if (stdout === undefined)
        reject(new CommandError('OUTPUT_TOO_LARGE', file, `wrote more than ${MAX_STDOUT_BYTES} bytes`));
      // wait(2)'s status word: the signal in its lowest seven bits, the code above them.
      else resolve({ exitCode: (status & 0x7f) === 0 ? (status >> 8) & 0xff : null, stdout, stderr });
    };
    let child: Child;
    try {
      child = start(file, args, options, ended);
    } catch (error) {
      if (children.size === 0) process.off('SIGCHLD', look);
      reject(error);
      return;
    }
    children.add(child);
    let timer = setTimeout(() => {
      isLate = true;
      // A listener for a signal keeps no process alive; this does.
      timer = setInterval(look, KILLED_LOOK_MS);
      try {
        process.kill(-child.pid, 'SIGKILL');
      } catch {
        // It ended by itself this very moment.
      }
    }, timeoutMs);
  });
}
