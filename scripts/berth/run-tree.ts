// One supervisor after another in this process, until a signal ends it: a reboot starts the tree over, or the machine.
import { join } from 'node:path';
import process from 'node:process';
import type { LaunchSettings } from '../../services/supervisor/held-descriptors.ts';
import { stdoutSpeaker } from '../../services/supervisor/held-stdout.ts';
import type { Places } from '../../services/supervisor/spawn-arguments.ts';
import { startSupervisor } from '../../services/supervisor/supervisor.ts';
import { runCommand } from '../../shared/exec/run-command.ts';

type End = 'keep' | 'stop' | 'reboot' | 'off' | 'refused' | 'incomplete';

const REBOOT_COMMAND_MS = 30_000;

const speak = stdoutSpeaker();
const say = (line: string): void => speak(`berth: ${line}`);

/** Resolves with the exit code once a signal, or a reboot of the machine, has ended the tree; 1 when it could not start or not end. */
export async function runTree(places: Places, settings: LaunchSettings): Promise<number> {
  const signalled = new Promise<End>((resolve) => {
    let signals = 0;
    const onSignal = (end: End): void => {
      signals += 1;
      // Whoever is impatient must not break what is being taken down in order; each step of it is bounded.
      if (signals > 1) say('is ending already, wait for it');
      resolve(end);
    };
    process.on('SIGINT', () => onSignal('stop'));
    process.on('SIGTERM', () => onSignal('keep'));
  });
  for (;;) {
    const end = await runOnce(places, settings, signalled);
    if (end === 'refused' || end === 'incomplete') return 1;
    if (end === 'off' && settings.mode === 'embedded') return await endMachine('poweroff');
    if (end !== 'reboot') return 0;
    if (settings.mode === 'embedded') return await endMachine('reboot');
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
  const rebootAsked = supervisor.rebootAsked.then(({ code, message, off }): End => {
    say(off ? `poweroff: ${message}` : `reboot for ${code}: ${message}`);
    return off ? 'off' : 'reboot';
  });
  const end = await Promise.race([signalled, rebootAsked]);
  say(end === 'keep' ? 'ending, containers stay' : 'stopping containers');
  const ending = await supervisor.stop(end === 'keep' ? 'keep' : 'stop');
  return end === 'stop' && ending === 'incomplete' ? ending : end;
}

/** The init's own command; it ends this process in its own time. */
async function endMachine(command: 'reboot' | 'poweroff'): Promise<number> {
  const { exitCode, stderr } = await runCommand(command, [], { timeoutMs: REBOOT_COMMAND_MS });
  if (exitCode !== 0) console.error(`berth: ${command} ended with ${exitCode}: ${stderr.trim()}`);
  return exitCode === 0 ? 0 : 1;
}
