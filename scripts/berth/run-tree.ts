// One supervisor after another in this process, until a signal ends it: a reboot starts the tree over, or the machine.
import { join } from 'node:path';
import process from 'node:process';
import type { LaunchSettings } from '../../services/supervisor/held-descriptors.ts';
import type { Places } from '../../services/supervisor/spawn-arguments.ts';
import { startSupervisor } from '../../services/supervisor/supervisor.ts';
import { runCommand } from '../../shared/exec/run-command.ts';

type End = 'keep' | 'stop' | 'reboot' | 'refused';

const REBOOT_COMMAND_MS = 30_000;

const say = (line: string): void => console.log(`berth: ${line}`);

/** Resolves with the exit code once a signal, or a reboot of the machine, has ended the tree; 1 when it could not start. */
export async function runTree(places: Places, settings: LaunchSettings): Promise<number> {
  const signalled = new Promise<End>((resolve) => {
    process.on('SIGINT', () => resolve('stop'));
    process.on('SIGTERM', () => resolve('keep'));
  });
  for (;;) {
    const end = await runOnce(places, settings, signalled);
    if (end === 'refused') return 1;
    if (end !== 'reboot') return 0;
    if (settings.mode === 'embedded') return await rebootMachine();
    say('starting over');
  }
}

async function runOnce(places: Places, settings: LaunchSettings, signalled: Promise<End>): Promise<End> {
  const supervisor = await startSupervisor({ ...places, ...settings, say }).catch((error: Error) => error);
  if (supervisor instanceof Error) {
    // Nothing has been started, and the message names the lock, folder or socket that could not be had.
    console.error(`berth run: ${supervisor.message}`);
    return 'refused';
  }
  void supervisor.ready.then(() => say(`up, control socket ${join(places.rundir, 'pv-ctrl')}`));
  const rebootAsked = supervisor.rebootAsked.then(({ code, message }): End => {
    say(`reboot for ${code}: ${message}`);
    return 'reboot';
  });
  const end = await Promise.race([signalled, rebootAsked]);
  say(end === 'keep' ? 'ending, containers stay' : 'stopping containers');
  await supervisor.stop(end === 'keep' ? 'keep' : 'stop');
  return end;
}

/** The init's own command; it ends this process in its own time. */
async function rebootMachine(): Promise<number> {
  const { exitCode, stderr } = await runCommand('reboot', [], { timeoutMs: REBOOT_COMMAND_MS });
  if (exitCode !== 0) console.error(`berth: reboot ended with ${exitCode}: ${stderr.trim()}`);
  return exitCode === 0 ? 0 : 1;
}
