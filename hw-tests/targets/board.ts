// A board over ssh, with Berth installed on it. What it is plugged into is switched by a command of its owner's.
import { spawnSync } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import * as z from 'zod/mini';
import { ask, get, healthy, install, progressOf, command as tell, until } from '../device.ts';
import { ANY_BOOT, bootId, type Feature, type Target } from '../target.ts';
import { secureShell } from './secure-shell.ts';

export interface BoardSettings {
  /** As ssh(1) takes it: `root@board`, or a name of ~/.ssh/config. */
  readonly host: string;
  /** Started with `on` or `off` as its last argument: switches the board's power. */
  readonly power: string | undefined;
  /** What it can do, but for `cut`. */
  readonly features: readonly Feature[];
  readonly program?: string;
  readonly remoteSocket?: string;
}

const userMeta = z.record(z.string(), z.string());

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
  /** The owner's, which tests change. */
  let ownMeta: z.output<typeof userMeta> | undefined;
  const connect = async (): Promise<void> => {
    if (!isOn) switchPower('on');
    isOn = true;
    await shell.connect(CONNECT_MS);
  };
  /** Resolves when it is what the board boots. */
  const bring = async (): Promise<void> => {
    await healthy(target);
    ownMeta = await get(target, '/user-meta', userMeta);
    await install(target, revision, name);
    // What a boot tries is in the way until it is committed. By a reboot: what only was UPDATED would be gone back from at a cut.
    await until('the board takes a revision', async () => {
      await tell(target, 'LOCAL_RUN_COMMIT', `locals/${name}`);
      return true;
    });
    let last = 'nothing was heard of it';
    await until(
      'the revision of the test runs',
      async () => {
        // It reboots when it likes: what is connected to it has to be so anew.
        await target.rebooted(ANY_BOOT);
        // Not `current`: that is the old one, which is well, until the new one begins.
        const progress = await progressOf(target, `locals/${name}`);
        last = JSON.stringify(progress);
        return progress.status === 'DONE' ? true : undefined;
      },
      { tell: () => last },
    );
  };
  const target: Target = {
    name: `ssh ${host}`,
    isEmulated: false,
    isNew: false,
    revision: `locals/${name}`,
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
      await connect();
      if (!isInstalled) await bring();
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
    async close() {
      const own = ownMeta;
      ownMeta = undefined;
      try {
        if (own === undefined) return;
        // A test may have failed while it was off or rebooted.
        await shell.disconnect();
        await connect();
        await giveBack(target, own);
      } catch (error) {
        console.error(`hw: user-meta of ${host} could not be given back as it was: ${String(error)}`);
      } finally {
        await shell.close();
      }
    },
  };
  return target;
}

async function giveBack(target: Target, own: z.output<typeof userMeta>): Promise<void> {
  const found = await until('the user-meta', () => get(target, '/user-meta', userMeta));
  const put = async (method: 'PUT' | 'DELETE', key: string, value?: string): Promise<void> => {
    const { status, body } = await ask(target, method, `/user-meta/${encodeURIComponent(key)}`, value);
    if (status !== 200) throw new Error(`${method} ${key}: ${status} ${body}`);
  };
  for (const key of Object.keys(found)) if (!(key in own)) await put('DELETE', key);
  for (const [key, value] of Object.entries(own)) if (found[key] !== value) await put('PUT', key, value);
}
