// The options of `berth run`, parsed and checked before anything is touched.
import { statSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { KeyName } from '../../shared/config/keys.ts';
import { duration } from '../../shared/config/kinds.ts';
import type { Origin, Settings } from '../../shared/config/settings.ts';
import { realPlace } from '../../shared/kernel/real-place.ts';
import { wrongWords } from './command-line.ts';
import { DEFAULT_CONFIG, type RunSettings, readRunSettings } from './run-settings.ts';
import { isEmptyStorage } from './seed-storage.ts';

/** Folders are without links: what is mounted and swapped to is looked for by its path, and the kernel tells it without. */
export interface RunOptions {
  readonly storage: string;
  readonly rundir: string;
  readonly mode: 'embedded' | 'appengine';
  readonly sandbox: boolean;
  readonly configuration: RunSettings;
}

export const RUN_USAGE = `usage: berth run [--storage DIR] [--rundir DIR] [--mode appengine|embedded] [--sandbox]
                 [--config FILE] [--set KEY=VALUE]...

  --storage DIR   where the revisions, leases and logs are (berth pack makes one); in an empty folder a
                  first revision is made, without containers and with the pool pvcnet
  --rundir DIR    sockets, namespaces, mounts; gone after a reboot (/run/pantavisor/pv)
  --mode MODE     appengine: a guest on any Linux host (default); embedded: the device's own
  --sandbox       in namespaces of its own, with a simulated outside host; leaves nothing behind
  --config FILE   KEY=value lines (${DEFAULT_CONFIG}, if it is there)
  --set KEY=VALUE one key, stronger than the file and the environment; may be repeated
  --pool-overlap error|warning
                  what a pool is that hides an address, route or name server of this machine (error)
  --lease-hold TIME
                  how long a container may be in no revision before its addresses are given back: seconds, or 12h, 7d (86400)
  --nat nftables|iptables|none
                  what may do NAT (nftables where it works, otherwise iptables)

Ctrl-C (SIGINT), and SIGPWR when the machine goes down, stop the containers and end. SIGTERM ends and leaves them
running: the next start takes them over.`;

/** Services are given what they own in it: a folder of anything else, a home or `/`, must never be taken for one. */
function storageRefusal({ folder, said }: Place): string | undefined {
  const found = statSync(folder, { throwIfNoEntry: false });
  if (found === undefined) {
    return `${said}: no such folder; berth pack SRC -o ${folder} makes one, and an empty one serves as well`;
  }
  if (!found.isDirectory()) return `${said}: is a file; name a folder that berth pack made`;
  if (statSync(join(folder, 'trails'), { throwIfNoEntry: false })?.isDirectory() === true) return undefined;
  if (isEmptyStorage(folder)) return undefined;
  return `${said}: holds no revision (no trails/); berth pack SRC -o DIR makes a storage folder`;
}

/** Answers the options, or what is wrong with them. */
export function parseRunOptions(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): RunOptions | { readonly wrong: string } {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        storage: { type: 'string' },
        rundir: { type: 'string' },
        mode: { type: 'string' },
        sandbox: { type: 'boolean', default: false },
        config: { type: 'string' },
        set: { type: 'string', multiple: true, default: [] },
        'pool-overlap': { type: 'string' },
        'lease-hold': { type: 'string' },
        nat: { type: 'string' },
      },
    });
    const short = shortOptions(values['pool-overlap'], values['lease-hold'], values.nat);
    if ('wrong' in short) return short;
    const read = readRunSettings({ config: values.config, set: [...values.set, ...short.set] }, env);
    if ('wrong' in read) return read;
    const { settings } = read;
    const mode = values.mode ?? settings.value('PV_SYSTEM_INIT_MODE');
    if (mode !== 'appengine' && mode !== 'embedded') {
      const said = values.mode === undefined ? writerOf('PV_SYSTEM_INIT_MODE', settings, values.config) : '--mode';
      return { wrong: `${said} ${mode}: must be appengine or embedded` };
    }
    const placeOf = (key: PlaceKey, option: string, given: string | undefined): Place =>
      given === undefined ? writtenPlace(key, settings, values.config) : givenPlace(option, given);
    const storage = placeOf('PV_STORAGE_MNTPOINT', '--storage', values.storage);
    if (storage.folder === '') return { wrong: '--storage is missing: name the folder that holds the revisions' };
    const rundir = placeOf('PV_SYSTEM_RUNDIR', '--rundir', values.rundir);
    const relative = [storage, rundir].find(({ folder }) => !isAbsolute(folder));
    if (relative !== undefined) return { wrong: `${relative.said}: must be an absolute path` };
    const refusal = storageRefusal(storage);
    if (refusal !== undefined) return { wrong: refusal };
    return {
      storage: realPlace(storage.folder),
      rundir: realPlace(rundir.folder),
      mode,
      sandbox: values.sandbox,
      configuration: read,
    };
  } catch (error) {
    return { wrong: wrongWords(error) };
  }
}

type PlaceKey = 'PV_STORAGE_MNTPOINT' | 'PV_SYSTEM_RUNDIR';

interface Place {
  readonly folder: string;
  /** By whom and as what, for messages. */
  readonly said: string;
}

/** Whoever types it means it from where they are. */
function givenPlace(option: string, given: string): Place {
  const folder = given === '' ? '' : resolve(given);
  return { folder, said: `${option} ${folder}` };
}

/** Relative to where Berth happens to be started it would be another one each time. */
function writtenPlace(key: PlaceKey, settings: Settings, config: string | undefined): Place {
  const written = settings.value(key);
  const folder = isAbsolute(written) ? resolve(written) : written;
  return { folder, said: `${writerOf(key, settings, config)} ${folder}` };
}

/** The key that stands for an option that was not given, and where it was set. */
function writerOf(key: KeyName, settings: Settings, config: string | undefined): string {
  const origin = settings.rows().find((row) => row.key === key)?.origin;
  const places: Partial<Record<Origin, string>> = {
    'pv conf file': config ?? DEFAULT_CONFIG,
    env: 'the environment',
    command: '--set',
  };
  return `${places[origin ?? 'default'] ?? origin}: ${key}`;
}

/** Options that have a word of their own are keys like any other. */
function shortOptions(
  overlap: string | undefined,
  hold: string | undefined,
  nat: string | undefined,
): { readonly set: readonly string[] } | { readonly wrong: string } {
  if (overlap !== undefined && overlap !== 'error' && overlap !== 'warning') {
    return { wrong: `--pool-overlap ${overlap}: must be error or warning` };
  }
  if (hold !== undefined && duration.read(hold) === undefined) {
    return { wrong: `--lease-hold ${hold}: must be ${duration.expected}` };
  }
  if (nat !== undefined && nat !== 'nftables' && nat !== 'iptables' && nat !== 'none') {
    return { wrong: `--nat ${nat}: must be nftables, iptables or none` };
  }
  const said = { BERTH_POOL_OVERLAP: overlap, BERTH_LEASE_HOLD: hold, BERTH_NAT: nat };
  return { set: Object.entries(said).flatMap(([key, value]) => (value === undefined ? [] : [`${key}=${value}`])) };
}
