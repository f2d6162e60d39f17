// What goes wrong at the border to the kernel and to tools, as the contract's NET_FAILED tells it: a step and a reason.
import { CommandError } from '../../shared/exec/run-command.ts';
import { KernelError } from '../../shared/kernel/libc.ts';

/** Expected: the environment said no. Handlers answer it as NET_FAILED; anything else that is thrown is a bug. */
export class NetFailure extends Error {
  /** What was tried: `create bridge pvbr0`. */
  readonly step: string;
  /** What the kernel or the tool said. */
  readonly reason: string;

  constructor(step: string, reason: string) {
    super(`${step}: ${reason}`);
    this.name = 'NetFailure';
    this.step = step;
    this.reason = reason;
  }
}

/** Node's own errors of system calls carry the call's name. */
function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error;
}

/** A system or command error as a NetFailure of this step; a NetFailure keeps its own; others (bugs) are thrown again. */
export function asNetFailure(step: string, error: unknown): NetFailure {
  if (error instanceof NetFailure) return error;
  if (error instanceof KernelError || error instanceof CommandError || isSystemError(error)) {
    return new NetFailure(step, error.message);
  }
  throw error;
}

export function attempt<T>(step: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw asNetFailure(step, error);
  }
}

/** Undo steps of what was done so far, run in reverse. */
export interface Undo {
  add(step: string, act: () => void): void;
  /** Runs all of them, also past failures; answers those. */
  run(): NetFailure[];
}

export function createUndo(): Undo {
  const steps: { step: string; act: () => void }[] = [];
  return {
    add: (step, act) => steps.push({ step, act }),
    run: () => collectFailures(steps.reverse()),
  };
}

/** Runs all, also past failures; answers those. */
export function collectFailures(steps: Iterable<{ readonly step: string; readonly act: () => void }>): NetFailure[] {
  const failures: NetFailure[] = [];
  for (const { step, act } of steps) {
    try {
      attempt(step, act);
    } catch (error) {
      failures.push(asNetFailure(step, error));
    }
  }
  return failures;
}

/** Runs `act`; when it fails, what it registered is undone, and what could not be undone is named behind the reason. */
export function undoingOnFailure<T>(act: (undo: Undo) => T): T {
  const undo = createUndo();
  try {
    return act(undo);
  } catch (error) {
    const left = undo.run();
    if (left.length === 0 || !(error instanceof NetFailure)) throw error;
    throw new NetFailure(error.step, `${error.reason}; not undone: ${left.map(({ message }) => message).join('; ')}`);
  }
}
