// Reboots the machine or powers it off: by its init, which ends everything else in order.
import { existsSync } from 'node:fs';
import process from 'node:process';
import type { Settings } from '../../shared/config/settings.ts';
import { runCommand } from '../../shared/exec/run-command.ts';

export type MachineEnd = 'reboot' | 'poweroff';

export interface Init {
  /** Berth itself is process 1. */
  readonly isSelf: boolean;
  readonly isSystemd: boolean;
}

/** `kernel`: without asking anybody. */
export type EndStep = { readonly command: readonly string[] } | 'kernel';

const COMMAND_MS = 30_000;

/**
 * To be tried in this order until one succeeds. `own`: the command that somebody configured, words parted by blanks; nothing else is
 * tried then.
 */
export function endSteps(how: MachineEnd, own: string, init: Init): readonly EndStep[] {
  const words = own.split(/\s+/).filter((word) => word !== '');
  if (words.length > 0) return [{ command: words }];
  if (init.isSelf) return ['kernel'];
  const asked = [{ command: [how] }, { command: ['busybox', how] }];
  return init.isSystemd ? [{ command: ['systemctl', how] }, ...asked] : asked;
}

/** Answers the exit code of `berth run`: 0 when the machine's end is under way; the init ends this process in its own time. */
export async function endMachine(how: MachineEnd, settings: Settings): Promise<number> {
  const own = settings.value(how === 'reboot' ? 'BERTH_REBOOT' : 'BERTH_POWEROFF');
  const init = { isSelf: process.pid === 1, isSystemd: existsSync('/run/systemd/system') };
  const failures: string[] = [];
  for (const step of endSteps(how, own, init)) {
    const failure = await tryStep(step, how);
    if (failure === undefined) return 0;
    failures.push(failure);
  }
  console.error(`berth: the machine does not ${how}: ${failures.join('; ')}`);
  return 1;
}

async function tryStep(step: EndStep, how: MachineEnd): Promise<string | undefined> {
  if (step === 'kernel') {
    const { endMachineNow } = await import('../../shared/kernel/reboot.ts');
    endMachineNow(how);
    return undefined;
  }
  const [file = '', ...args] = step.command;
  try {
    const { exitCode, stderr } = await runCommand(file, args, { timeoutMs: COMMAND_MS });
    return exitCode === 0 ? undefined : `${step.command.join(' ')} ended with ${exitCode}: ${stderr.trim()}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
