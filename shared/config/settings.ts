// The configuration of one Berth: the defaults, and over them what people wrote in pantavisor.config, in the environment and
// in user-meta. A value that cannot be used is told and leaves what was below it.
import { KEYS, type Key, type KeyName, type KeyValue } from './keys.ts';
import type { Kind, Shown } from './kinds.ts';

/** Where a value came from, in the words of `GET /config2`, weakest first. */
export const ORIGINS = ['default', 'pv conf file', 'env', 'user meta', 'command'] as const;
export type Origin = (typeof ORIGINS)[number];

/** One value as somebody wrote it. */
export interface Written {
  readonly key: KeyName;
  readonly value: string;
  readonly origin: Exclude<Origin, 'default'>;
}

export interface Settings {
  /** Of what its kind says; the default where nobody wrote anything that can be used. */
  value<K extends KeyName>(key: K): KeyValue<K>;
  /** Every key, in the order of the table. */
  rows(): readonly SettingRow[];
  /** What was written, to be handed on: one per key that is not as the defaults have it. */
  written(): readonly Written[];
}

export interface SettingRow {
  readonly key: KeyName;
  readonly alias: string | undefined;
  /** As written. */
  readonly text: string;
  readonly origin: Origin;
  /** As `GET /config` shows it. */
  readonly shown: Shown;
}

export interface SettingProblem {
  readonly key: string;
  readonly origin: Origin;
  /** Names the value and what is allowed. */
  readonly message: string;
}

const MAX_SHOWN = 100;

function quoted(value: string): string {
  return `'${value.length > MAX_SHOWN ? `${value.slice(0, MAX_SHOWN)}…` : value}'`;
}

/** The table, with each key's own type. */
const table: { readonly [K in KeyName]: Key<KeyValue<K>> } = KEYS;
const names = Object.keys(KEYS).filter((name): name is KeyName => name in KEYS);
const byName = new Map<string, KeyName>(
  names.flatMap((name) => {
    const { alias, otherNames = [] }: Key<unknown> = KEYS[name];
    const all = [name, ...(alias === undefined ? [] : [alias]), ...otherNames];
    return all.map((each) => [each.toLowerCase(), name] as const);
  }),
);

/** By its name or one of its others, in any case; undefined: there is no such key. */
export function findKey(name: string): KeyName | undefined {
  return byName.get(name.toLowerCase());
}

/** Of several values of one key the strongest origin wins, and of one origin the last. */
export function createSettings(all: readonly Written[]): {
  readonly settings: Settings;
  readonly problems: readonly SettingProblem[];
} {
  const problems: SettingProblem[] = [];
  const winners = new Map<KeyName, Written>();
  const ordered = [...all].sort((a, b) => ORIGINS.indexOf(a.origin) - ORIGINS.indexOf(b.origin));
  for (const each of ordered) {
    const { key, value, origin } = each;
    const { kind, userMeta, neverEmpty }: Key<unknown> = KEYS[key];
    if (value === '' && neverEmpty === true) continue;
    const refusal = origin === 'user meta' && userMeta !== true ? 'cannot be set by user-meta' : undefined;
    if (refusal !== undefined) problems.push({ key, origin, message: `${key} ${refusal}; it stays as it was` });
    else if (kind.read(value) !== undefined) winners.set(key, each);
    else problems.push({ key, origin, message: `${key} is ${quoted(value)}; it must be ${kind.expected}` });
  }
  return { settings: settingsOf(winners), problems };
}

function settingsOf(winners: ReadonlyMap<KeyName, Written>): Settings {
  const textOf = (key: KeyName): string => winners.get(key)?.value ?? KEYS[key].standard;
  const read = <T>({ read: readText }: Kind<T>, key: KeyName) => {
    const found = readText(textOf(key));
    // What was written was read before, and a test reads every default.
    if (found === undefined) throw new Error(`the default of ${key} is not of its kind`);
    return found;
  };
  return {
    value: <K extends KeyName>(key: K) => read(table[key].kind, key).value,
    rows: () =>
      names.map((key) => {
        const { alias, kind }: Key<unknown> = KEYS[key];
        const origin = winners.get(key)?.origin ?? 'default';
        return { key, alias, text: textOf(key), origin, shown: read(kind, key).shown };
      }),
    written: () => [...winners.values()],
  };
}
