// Runs one external program to its end: argument array, no shell, clean environment, bounded time and output.
import type { ChildProcess } from 'node:child_process';
import process from 'node:process';

export interface CommandOptions {
  /** Milliseconds until the program is killed. */
  readonly timeoutMs: number;
  /** Written to its stdin, which is closed after it; without it stdin is empty. */
  readonly input?: string | Uint8Array;
  /** Beside the clean environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Of stdout and of stderr, each. Default 1 MiB. */
  readonly maxOutputBytes?: number;
}

/** The program ran to its end: exactly one of `exitCode` and `signal` is not null. */
export interface CommandResult {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export type CommandFailure = 'NOT_FOUND' | 'NOT_STARTED' | 'TIMED_OUT' | 'OUTPUT_TOO_LARGE';

/** The program did not run to its end. (A non-zero exit is a result, not this.) */
export class CommandError extends Error {
  readonly code: CommandFailure;

  constructor(code: CommandFailure, file: string, detail: string) {
    super(`${file}: ${detail}`);
    this.name = 'CommandError';
    this.code = code;
  }
}

const DEFAULT_MAX_OUTPUT_BYTES = 1024 * 1024;
/** Nothing of ours leaks into programs, and their output is in English with C number formats. */
export const ENVIRONMENT = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' };

/** Collects a stream up to `maxBytes`, then calls `onTooMuch` once and drops the rest. */
function collect(stream: NodeJS.ReadableStream, maxBytes: number, onTooMuch: () => void): () => string {
  const chunks: Buffer[] = [];
  let size = 0;
  stream.on('data', (chunk: Buffer) => {
    if (size > maxBytes) return;
    size += chunk.length;
    if (size > maxBytes) onTooMuch();
    else chunks.push(chunk);
  });
  return () => Buffer.concat(chunks).toString('utf8');
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // ESRCH: it ended by itself this very moment.
  }
}

/**
 * `file` is an absolute path, or a name looked up in the standard directories.
 * Rejects with CommandError when the program cannot be started, takes longer than `timeoutMs` or writes more than
 * `maxOutputBytes`; in the last two cases it has been killed (SIGKILL) and reaped before the rejection.
 */
export async function runCommand(
  file: string,
  args: readonly string[],
  options: CommandOptions,
): Promise<CommandResult> {
  // Services start without it, and most never run a command.
  const { spawn } = await import('node:child_process');
  const maxBytes = options.maxOutputBytes ?? DEFAULT_MAX_OUTPUT_BYTES;
  return new Promise((resolve, reject) => {
    // In a process group of its own, so that what it started is killed with it.
    const child = spawn(file, args, {
      env: { ...ENVIRONMENT, ...options.env },
      cwd: '/',
      stdio: 'pipe',
      detached: true,
    });
    let failure: CommandError | undefined;
    const abort = (error: CommandError): void => {
      failure ??= error;
      killGroup(child);
    };
    const tooMuch = (): void => abort(new CommandError('OUTPUT_TOO_LARGE', file, `wrote more than ${maxBytes} bytes`));
    const stdout = collect(child.stdout, maxBytes, tooMuch);
    const stderr = collect(child.stderr, maxBytes, tooMuch);
    const timer = setTimeout(
      () => abort(new CommandError('TIMED_OUT', file, `took longer than ${options.timeoutMs} ms`)),
      options.timeoutMs,
    );
    child.on('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      reject(new CommandError(error.code === 'ENOENT' ? 'NOT_FOUND' : 'NOT_STARTED', file, error.message));
    });
    // Somebody who left the group may hold the pipes open for ever: a killed program's output is not waited for.
    child.on('exit', () => {
      if (failure === undefined) return;
      clearTimeout(timer);
      child.stdout.destroy();
      child.stderr.destroy();
      reject(failure);
    });
    child.on('close', (exitCode, signal) => {
      clearTimeout(timer);
      if (failure === undefined) resolve({ exitCode, signal, stdout: stdout(), stderr: stderr() });
    });
    // A program that ends without reading its input is not an error of ours.
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input ?? '');
  });
}
