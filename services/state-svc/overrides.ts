// What user-meta says about the configuration: values of keys that allow it, and what cannot be used. Pure.
import { KEYS, type Key } from '../../shared/config/keys.ts';
import { createSettings, findKey, type Settings, type Written } from '../../shared/config/settings.ts';
import type { ReadonlyEntries } from './metadata-limits.ts';

export interface Overrides {
  /** The configuration with them. */
  readonly settings: Settings;
  /** One per key, each of which can be used. */
  readonly written: readonly Written[];
  /** For people: names the key of user-meta, its value and what is allowed. */
  readonly problems: readonly string[];
}

/** `base`: what everybody else wrote. Of two names of one key in user-meta the last in alphabetical order wins. */
export function overridesOf(base: readonly Written[], userMeta: ReadonlyEntries): Overrides {
  const written: Written[] = [];
  const problems: string[] = [];
  for (const name of [...userMeta.keys()].sort()) {
    const key = findKey(name);
    if (key === undefined) continue;
    const { userMeta: isAllowed }: Key<unknown> = KEYS[key];
    const value = userMeta.get(name) ?? '';
    if (isAllowed === true) written.push({ key, value, origin: 'user meta' });
    else problems.push(`user-meta ${name} is no override: ${key} can only be set where Berth is started; delete it`);
  }
  const own = createSettings(written);
  problems.push(...own.problems.map(({ message }) => `user-meta: ${message}; the value below it holds`));
  const overrides = own.settings.written();
  return { settings: createSettings([...base, ...overrides]).settings, written: overrides, problems };
}
