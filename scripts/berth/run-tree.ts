// One supervisor after another in this process, until a signal ends it: a reboot starts the tree over, or the machine.
import { join } from 'node:path';
import process from 'node:process';
import type { LaunchSettings } from '../../services/supervisor/held-descriptors.ts';
import { stdoutSpeaker } from '../../services/supervisor/held-stdout.ts';
import { createInitNotifier, type InitNotifier } from '../../services/supervisor/init-notifier.ts';
import type { Places } from '../../services/supervisor/spawn-arguments.ts';
import { startSupervisor } from '../../services/supervisor/supervisor.ts';
import { settingsOf } from '../../shared/config/launched-settings.ts';
import { endMachine } from './end-machine.ts';

/** `down`: the machine goes down, by its init's will. */
type End = 'keep' | 'stop' | 'down' | 'reboot' | 'off' | 'refused' | 'incomplete';

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
    process.on('SIGPWR', () => onSignal('down'));
    // Node's debugger, which it starts otherwise, runs anything as root for every user, and for containers on the host's network.
    process.on('SIGUSR1', () => undefined);
  });
  const notifier = createInitNotifier(process.env, process.pid);
  try {
    for (;;) {
      const end = await runOnce(places, settings, signalled, notifier);
      if (end === 'refused' || end === 'incomplete') return 1;
      if (end === 'off' && settings.mode === 'embedded')
        return await endMachine('poweroff', settingsOf(settings), notifier.extend);
      if (end !== 'reboot') return 0;
      if (settings.mode === 'embedded') return await endMachine('reboot', settingsOf(settings), notifier.extend);
      say('starting over');
    }
  } finally {
    notifier.close();
  }
}

async function runOnce(
  places: Places,
  settings: LaunchSettings,
  signalled: Promise<End>,
  notifier: InitNotifier,
): Promise<End> {
  const supervisor = await startSupervisor({ ...places, ...settings, say }).catch((error: Error) => error);
  if (supervisor instanceof Error) {
    // Nothing has been started, and the message names the lock, folder or socket that could not be had.
    console.error(`berth run: ${supervisor.message}`);
    return 'refused';
  }
  void supervisor.ready.then(() => {
    say(`up, control socket ${join(places.rundir, 'pv-ctrl')}`);
    notifier.up();
  });
  const rebootAsked = supervisor.rebootAsked.then(({ code, message, off }): End => {
    say(off ? `poweroff: ${message}` : `reboot for ${code}: ${message}`);
    return off ? 'off' : 'reboot';
  });
  const end = await Promise.race([signalled, rebootAsked]);
  say(end === 'keep' ? 'ending, containers stay' : 'stopping containers');
  if (end !== 'reboot' || settings.mode === 'embedded') notifier.stopping();
  const machineEnds = end === 'down' || (settings.mode === 'embedded' && (end === 'reboot' || end === 'off'));
  const ending = await supervisor.stop(end === 'keep' ? 'keep' : 'stop', machineEnds ? 'ends' : 'stays');
  return end === 'stop' && ending === 'incomplete' ? ending : end;
}
