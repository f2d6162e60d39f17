// Reboots the machine or powers it off: by its init, which ends everything else in order.
import { existsSync } from 'node:fs';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Settings } from '../../shared/config/settings.ts';
import { type CommandResult, runCommand } from '../../shared/exec/run-command.ts';
import { reasonOf } from '../../shared/kernel/system-error.ts';

export type MachineEnd = 'reboot' | 'poweroff';

export interface Init {
  /** Berth itself is process 1. */
  readonly isSelf: boolean;
  readonly isSystemd: boolean;
}

export interface EndCommand {
  readonly command: readonly string[];
  /** While it is refused it is asked again. */
  readonly isPatient?: boolean;
}

/** `kernel`: without asking anybody. */
export type EndStep = EndCommand | 'kernel';

export interface Surroundings {
  /** Rejects when the program cannot be run to its end. */
  run(command: readonly string[]): Promise<Pick<CommandResult, 'exitCode' | 'stdout' | 'stderr'>>;
  wait(ms: number): Promise<unknown>;
  /** Whoever started Berth is told that its end takes up to `ms` more. */
  extend(ms: number): void;
}

const COMMAND_MS = 30_000;
/** The packages that are being installed have so long to be whole; a rollback has to come some time. */
const PATIENCE_MS = 300_000;
const PAUSE_MS = 5_000;

/**
 * To be tried in this order until one succeeds. `own`: the command that somebody configured, words parted by blanks; nothing else is
 * tried then. systemd 257 refuses root, too, while somebody holds a "block" lock on shutdown, as apt does while it installs: its target
 * can be started all the same. By `busybox` it is never asked: its signals mean other things to systemd, and the command succeeds.
 */
export function endSteps(how: MachineEnd, own: string, init: Init): readonly EndStep[] {
  const words = own.split(/\s+/).filter((word) => word !== '');
  if (words.length > 0) return [{ command: words }];
  if (init.isSelf) return ['kernel'];
  if (!init.isSystemd) return [{ command: [how] }, { command: ['busybox', how] }];
  return [
    { command: ['systemctl', how], isPatient: true },
    { command: ['systemctl', 'start', '--no-block', '--job-mode=replace-irreversibly', `${how}.target`] },
  ];
}

/** Answers the exit code of `berth run`: 0 when the machine's end is under way; the init ends this process in its own time. */
export async function endMachine(how: MachineEnd, settings: Settings, extend: Surroundings['extend']): Promise<number> {
  const own = settings.value(how === 'reboot' ? 'BERTH_REBOOT' : 'BERTH_POWEROFF');
  const init = { isSelf: process.pid === 1, isSystemd: existsSync('/run/systemd/system') };
  // Nobody feeds the hardware watchdog any more: an end in order has to come before its reset.
  const patienceMs = settings.value('PV_WDT_MODE') === 'disabled' ? PATIENCE_MS : 0;
  const run: Surroundings['run'] = ([file = '', ...args]) => runCommand(file, args, { timeoutMs: COMMAND_MS });
  return takeSteps(endSteps(how, own, init), how, patienceMs, { run, wait: sleep, extend });
}

export async function takeSteps(
  steps: readonly EndStep[],
  how: MachineEnd,
  patienceMs: number,
  surroundings: Surroundings,
): Promise<number> {
  const failures: string[] = [];
  for (const step of steps) {
    const failure =
      step === 'kernel' ? await askKernel(how) : await askUntil(step, step.isPatient ? patienceMs : 0, surroundings);
    if (failure === undefined) return 0;
    failures.push(failure);
  }
  console.error(`berth: the machine does not ${how}: ${failures.join('; ')}`);
  return 1;
}

async function askKernel(how: MachineEnd): Promise<undefined> {
  const { endMachineNow } = await import('../../shared/kernel/reboot.ts');
  endMachineNow(how);
}

async function askUntil(
  { command }: EndCommand,
  patienceMs: number,
  surroundings: Surroundings,
): Promise<string | undefined> {
  for (let waitedMs = 0; ; waitedMs += PAUSE_MS) {
    const failure = await ask(command, surroundings);
    if (failure === undefined || waitedMs >= patienceMs) return failure;
    if (waitedMs === 0) console.error(`berth: ${failure}; asking again for ${patienceMs / 60_000} minutes at most`);
    // Somebody else has ended it, which systemd refuses to do twice; it would wait for this process.
    if (await isEnding(surroundings)) return undefined;
    surroundings.extend(PAUSE_MS + 3 * COMMAND_MS);
    await surroundings.wait(PAUSE_MS);
  }
}

async function ask(command: readonly string[], { run }: Surroundings): Promise<string | undefined> {
  try {
    const { exitCode, stderr } = await run(command);
    return exitCode === 0 ? undefined : `${command.join(' ')} ended with ${exitCode}: ${stderr.trim()}`;
  } catch (error) {
    return reasonOf(error);
  }
}

async function isEnding({ run }: Surroundings): Promise<boolean> {
  const { stdout } = await run(['systemctl', 'is-system-running']).catch(() => ({ stdout: '' }));
  return stdout.trim() === 'stopping';
}
