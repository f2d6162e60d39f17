// A board over ssh, with Berth installed on it. What it is plugged into is switched by a command of its owner's.
import { spawnSync } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { install, progressReaches, settled, command as tell, until } from '../device.ts';
import { bootId, type Feature, type Target } from '../target.ts';
import { secureShell } from './secure-shell.ts';

export interface BoardSettings {
  /** As ssh(1) takes it: `root@board`, or a name of ~/.ssh/config. */
  readonly host: string;
  /** Started with `on` or `off` as its last argument: switches the board's power. */
  readonly power: string | undefined;
  /** Prints the board's console until it is killed, for instance `cat /dev/ttyUSB0`; nobody reads along without it. */
  readonly features: readonly Feature[];
  readonly program?: string;
  readonly remoteSocket?: string;
}

const CONNECT_MS = 300_000;
const POWER_MS = 60_000;
const OFF_MS = 60_000;

/** `revision`: a storage folder that `berth pack` wrote; it is installed on the board as `locals/hw-…` and run. */
export async function openBoard(settings: BoardSettings, revision: string): Promise<Target> {
  const { host, power, features } = settings;
  const rundir = '/run/pantavisor/pv';
  const shell = secureShell(host, [], settings.remoteSocket ?? `${rundir}/pv-ctrl`, settings.program);
  const switchPower = (state: 'on' | 'off'): void => {
    if (power === undefined) throw new Error('BERTH_HW_POWER names no command that switches the power');
    const { status, stderr } = spawnSync('sh', ['-c', `${power} ${state}`], { encoding: 'utf8', timeout: POWER_MS });
    if (status !== 0) throw new Error(`${power} ${state} ended with ${status}: ${stderr}`);
  };
  let isOn = true;
  const cut = async (): Promise<void> => {
    switchPower('off');
    isOn = false;
    await shell.disconnect();
  };
  const name = `hw-${Date.now()}`;
  let isInstalled = false;
  const target: Target = {
    name: `ssh ${host}`,
    isEmulated: false,
    lacks(feature) {
      if (feature === 'cut')
        return power === undefined ? 'BERTH_HW_POWER names no command that switches the power' : undefined;
      return features.includes(feature) ? undefined : `BERTH_HW_FEATURES does not name ${feature}`;
    },
    socket: shell.socket,
    storage: '/var/pantavisor/storage',
    rundir,
    run: shell.run,
    start: shell.start,
    copyTo: shell.copyTo,
    copyFrom: shell.copyFrom,
    async powerOn() {
      if (!isOn) switchPower('on');
      isOn = true;
      await shell.connect(CONNECT_MS);
      if (isInstalled) return;
      await settled(target);
      await install(target, revision, name);
      await tell(target, 'LOCAL_RUN', `locals/${name}`);
      await until('the revision of the test runs', async () => {
        // Not `current`: that is the old one, which is well, until the new one begins.
        const progress = await progressReaches(target, `locals/${name}`, 'DONE', 'UPDATED').catch(() => undefined);
        return progress === undefined ? undefined : true;
      });
      isInstalled = true;
    },
    async powerOff() {
      await shell.run(['poweroff']).catch(() => undefined);
      await shell.disconnect();
      if (power === undefined) return;
      // It does not say when it is off.
      await delay(OFF_MS);
      switchPower('off');
      isOn = false;
    },
    cut,
    async rebooted(before) {
      await until('another boot', async () => {
        const now = await bootId(target).catch(async () => {
          await shell.disconnect();
          await shell.connect(CONNECT_MS);
          return before;
        });
        return now === before ? undefined : true;
      });
    },
    // Nobody checks it before it is mounted.
    damage: async () => undefined,
    worked: (ms) => delay(ms),
    console: () => '',
    close: () => shell.close(),
  };
  return target;
}
