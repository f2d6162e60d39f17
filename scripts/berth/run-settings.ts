// The configuration of `berth run`: pantavisor.config, the environment, and what was said on the command line.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { readConfigText, readEnvironment } from '../../shared/config/config-file.ts';
import { createSettings, findKey, type Settings, type Written } from '../../shared/config/settings.ts';
import type { WrittenSysctl } from '../../shared/config/sysctls.ts';
import { reasonOf } from '../../shared/kernel/system-error.ts';

/** Where Pantavisor has it; it need not exist. */
export const DEFAULT_CONFIG = '/etc/pantavisor/pantavisor.config';

export interface RunSettings {
  readonly settings: Settings;
  /** Values of the file and the environment that cannot be used: told, and as if nobody had written them. And what means nothing here. */
  readonly warnings: readonly string[];
  /** What the log alone is told. */
  readonly notes: readonly string[];
  readonly sysctls: readonly WrittenSysctl[];
  /** The words of `berth run` with which a run inside a sandbox has the same configuration. */
  readonly words: readonly string[];
}

type Wrong = { readonly wrong: string };

export interface SaidSettings {
  /** A file that was named must be there. */
  readonly config: string | undefined;
  /** `KEY=value`, as said with --set. */
  readonly set: readonly string[];
}

export function readRunSettings(
  { config, set }: SaidSettings,
  env: Readonly<Record<string, string | undefined>>,
): RunSettings | Wrong {
  const file = readConfigFile(config);
  if ('wrong' in file) return file;
  const said: Written[] = [];
  for (const pair of set) {
    const [name = '', ...rest] = pair.split('=');
    const key = findKey(name);
    if (key === undefined) return { wrong: `--set ${pair}: there is no key '${name}'; pvcontrol conf ls shows all` };
    if (rest.length === 0) return { wrong: `--set ${pair}: has no value; write ${key}=value` };
    const one: Written = { key, value: rest.join('='), origin: 'command' };
    const [problem] = createSettings([one]).problems;
    if (problem !== undefined) return { wrong: `--set ${pair}: ${problem.message}` };
    said.push(one);
  }
  const variables = readEnvironment(env);
  const { settings } = createSettings([...file.written, ...variables.written, ...said]);
  const problems = [...file.problems, ...variables.problems].map(({ message }) => message);
  const warnings = [...problems, ...policyWarnings(settings)];
  const notes = [...file.notes, ...variables.notes, ...bridgeNotes(settings)];
  // Inside, another folder is the current one.
  const words = [...(config === undefined ? [] : ['--config', resolve(config)]), ...said.flatMap(wordsOf)];
  return { settings, warnings, notes, sysctls: [...file.sysctls, ...variables.sysctls], words };
}

/** Whoever names a policy relies on what its file sets, above all on what protects the device. */
function policyWarnings(settings: Settings): readonly string[] {
  const policy = settings.value('PV_POLICY');
  if (policy === '') return [];
  return [
    `PV_POLICY is '${policy}', and Berth reads no policy files: PV_SECUREBOOT_MODE and whatever else that one sets stays as it is here; write its keys into pantavisor.config`,
  ];
}

const BRIDGE_KEYS: readonly string[] = ['PV_NET_BRDEV', 'PV_NET_BRADDRESS4', 'PV_NET_BRMASK4'];

/** Whoever sets them expects a bridge on every start; a pool may have just that one, so that the device is no worse for it. */
function bridgeNotes(settings: Settings): readonly string[] {
  const set = settings.written().filter(({ key }) => BRIDGE_KEYS.includes(key));
  if (set.length === 0) return [];
  const shown = set.map(({ key, value }) => `${key}=${value}`).join(' ');
  return [`${shown} does nothing: Berth makes the bridges of pools alone; write one into network.pools of device.json`];
}

function wordsOf({ key, value }: Written): readonly string[] {
  return ['--set', `${key}=${value}`];
}

function readConfigFile(named: string | undefined) {
  const path = named ?? DEFAULT_CONFIG;
  try {
    return readConfigText(readFileSync(path, 'utf8'), path);
  } catch (error) {
    if (named === undefined) return { written: [], problems: [], notes: [], sysctls: [] };
    return { wrong: `--config ${path}: ${reasonOf(error)}` };
  }
}
