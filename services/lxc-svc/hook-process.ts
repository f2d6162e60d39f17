// Runs one hook to its end: a session of its own, nothing of ours in its environment, bounded time.
import process from 'node:process';
import { ENVIRONMENT } from '../../shared/exec/run-command.ts';
import type { HookFile } from './hook-files.ts';
import type { HookOutput } from './hook-output.ts';
import { comeBeforeUs } from './oom-score.ts';

export interface HookRun {
  readonly env: Readonly<Record<string, string>>;
  readonly output: HookOutput;
  readonly timeoutMs: number;
  /** Nobody waits for it any more: it is killed. */
  readonly signal: AbortSignal;
  /** It runs, and leads the group of everything that it starts. */
  onStarted(pid: number): void;
}

/**
 * Resolves with why it failed; undefined: it ended with 0. Its own end counts, not that of what it left behind: that is killed with it,
 * unless it has made a session of its own. Never rejects.
 */
export async function runHook(
  hook: HookFile,
  { env, output, timeoutMs, signal, onStarted }: HookRun,
): Promise<string | undefined> {
  const { spawn } = await import('node:child_process');
  return new Promise((resolve) => {
    if (signal.aborted) return resolve('it was called off');
    // Detached: setsid(2), so that whatever it starts is in one group, and no terminal is its own.
    const child = spawn(hook.path, [], {
      env: { ...ENVIRONMENT, ...env },
      cwd: '/',
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    if (child.pid !== undefined) comeBeforeUs(child.pid);
    let killedFor: string | undefined;
    let patience: NodeJS.Timeout | undefined;
    const killFor = (reason: string): void => {
      killedFor ??= reason;
      killGroup(child.pid);
    };
    const timer = setTimeout(
      () => killFor(`it did not end within ${timeoutMs / 1000} s (BERTH_HOOK_TIMEOUT) and was killed`),
      timeoutMs,
    );
    const onAbort = (): void => killFor('it was killed, as nobody waits for it any more');
    signal.addEventListener('abort', onAbort, { once: true });
    const end = (reason: string | undefined): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      output.end();
      resolve(reason);
    };
    child.stdout.on('data', (chunk: Buffer) => output.out(chunk));
    child.stderr.on('data', (chunk: Buffer) => output.err(chunk));
    child.on('error', (error: NodeJS.ErrnoException) => end(unstartable(error)));
    child.on('spawn', () => onStarted(child.pid ?? 0));
    // What it printed is read to its end; a daemon in a session of its own that holds the pipes is not waited for.
    child.on('exit', () => {
      killGroup(child.pid);
      patience = setTimeout(() => {
        child.stdout.destroy();
        child.stderr.destroy();
      }, DRAIN_MS);
    });
    child.on('close', (code, killer) => {
      clearTimeout(patience);
      end(killedFor ?? (code === 0 ? undefined : `it ended with ${killer ?? `exit code ${code}`}`));
    });
  });
}

/** For output that is in the pipe already. */
const DRAIN_MS = 500;

function unstartable(error: NodeJS.ErrnoException): string {
  if (error.code === 'ENOENT') return 'it cannot be started: the interpreter that its first line names is not there';
  return `it cannot be started: ${error.message}`;
}

/** The number stays theirs as long as one of the group is there, also after the end of its leader. */
export function killGroup(leader: number | undefined): void {
  if (leader === undefined || leader < 2) return;
  try {
    process.kill(-leader, 'SIGKILL');
  } catch {
    // ESRCH: nobody was left.
  }
}
