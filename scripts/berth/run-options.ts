// The options of `berth run`, parsed and checked before anything is touched.
import { statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

export interface RunOptions {
  readonly storage: string;
  readonly rundir: string | undefined;
  readonly mode: 'embedded' | 'appengine';
  readonly sandbox: boolean;
  readonly settings: RunSettings;
}

/** What the supervisor passes on to services; undefined: as they have it by themselves. */
export interface RunSettings {
  readonly poolOverlap: 'error' | 'warning' | undefined;
  readonly leaseHoldSeconds: number | undefined;
  /** In order of preference. */
  readonly natBackends: ('nftables' | 'iptables')[] | undefined;
}

export const DEFAULT_RUNDIR = '/run/pantavisor/pv';

export const RUN_USAGE = `usage: berth run --storage DIR [--rundir DIR] [--mode appengine|embedded] [--sandbox]

  --storage DIR   where the revisions, leases and logs are (berth pack makes one)
  --rundir DIR    sockets, namespaces, mounts; gone after a reboot (${DEFAULT_RUNDIR})
  --mode MODE     appengine: a guest on any Linux host (default); embedded: the device's own
  --sandbox       in namespaces of its own, with a simulated outside host; leaves nothing behind
  --pool-overlap error|warning
                  what a pool is that hides an address, route or name server of this machine (error)
  --lease-hold SECONDS
                  how long a container may be in no revision before its addresses are given back (86400)
  --nat nftables|iptables|none
                  what may do NAT (nftables where it works, otherwise iptables)

Ctrl-C (SIGINT) stops the containers and ends. SIGTERM ends and leaves them running: the next start takes them over.`;

/** Services are given what they own in it: any other folder, a home or `/`, must never be taken for one. */
function storageRefusal(folder: string): string | undefined {
  const found = statSync(folder, { throwIfNoEntry: false });
  if (found === undefined) return `--storage ${folder}: no such folder; berth pack SRC -o ${folder} makes one`;
  if (!found.isDirectory()) return `--storage ${folder}: is a file; name a folder that berth pack made`;
  if (statSync(join(folder, 'trails'), { throwIfNoEntry: false })?.isDirectory() === true) return undefined;
  return `--storage ${folder}: holds no revision (no trails/); berth pack SRC -o DIR makes a storage folder`;
}

/** Answers the options, or what is wrong with them. */
export function parseRunOptions(argv: readonly string[]): RunOptions | { readonly wrong: string } {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        storage: { type: 'string' },
        rundir: { type: 'string' },
        mode: { type: 'string', default: 'appengine' },
        sandbox: { type: 'boolean', default: false },
        'pool-overlap': { type: 'string' },
        'lease-hold': { type: 'string' },
        nat: { type: 'string' },
      },
    });
    const { storage, rundir, mode, sandbox } = values;
    if (storage === undefined) return { wrong: '--storage is missing: name the folder that holds the revisions' };
    if (mode !== 'appengine' && mode !== 'embedded') {
      return { wrong: `--mode ${mode}: must be appengine or embedded` };
    }
    const settings = parseSettings(values['pool-overlap'], values['lease-hold'], values.nat);
    if ('wrong' in settings) return settings;
    const folder = resolve(storage);
    const refusal = storageRefusal(folder);
    if (refusal !== undefined) return { wrong: refusal };
    return { storage: folder, rundir: rundir === undefined ? undefined : resolve(rundir), mode, sandbox, settings };
  } catch (error) {
    return { wrong: error instanceof Error ? error.message : String(error) };
  }
}

function parseSettings(
  overlap: string | undefined,
  hold: string | undefined,
  nat: string | undefined,
): RunSettings | { readonly wrong: string } {
  if (overlap !== undefined && overlap !== 'error' && overlap !== 'warning') {
    return { wrong: `--pool-overlap ${overlap}: must be error or warning` };
  }
  if (hold !== undefined && !/^\d{1,9}$/.test(hold)) {
    return { wrong: `--lease-hold ${hold}: must be a number of seconds` };
  }
  if (nat !== undefined && nat !== 'nftables' && nat !== 'iptables' && nat !== 'none') {
    return { wrong: `--nat ${nat}: must be nftables, iptables or none` };
  }
  return {
    poolOverlap: overlap,
    leaseHoldSeconds: hold === undefined ? undefined : Number(hold),
    natBackends: nat === undefined ? undefined : nat === 'none' ? [] : [nat],
  };
}

/** The words of these settings, for a `berth run` inside a sandbox. */
export function settingsArguments({ poolOverlap, leaseHoldSeconds, natBackends }: RunSettings): readonly string[] {
  return [
    ...(poolOverlap === undefined ? [] : ['--pool-overlap', poolOverlap]),
    ...(leaseHoldSeconds === undefined ? [] : ['--lease-hold', String(leaseHoldSeconds)]),
    ...(natBackends === undefined ? [] : ['--nat', natBackends[0] ?? 'none']),
  ];
}
