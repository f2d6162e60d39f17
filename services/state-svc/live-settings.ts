// The configuration while Berth runs: as it was started with, and over it what user-meta says now.
import type { KeyName, KeyValue } from '../../shared/config/keys.ts';
import type { Written } from '../../shared/config/settings.ts';
import type { Logger } from '../../shared/log/logger.ts';
import type { HealthReason } from '../../shared/schema/health.ts';
import type { Metadata } from './metadata.ts';
import { overridesOf } from './overrides.ts';

export interface LiveSettings {
  /** As it is now: to be asked whenever it is needed. */
  value<K extends KeyName>(key: K): KeyValue<K>;
  /** What user-meta says, one per key. */
  overrides(): readonly Written[];
  health(): readonly HealthReason[];
  /** Told after the overrides changed. */
  onChange(listener: () => void): void;
}

export function createLiveSettings(base: readonly Written[], metadata: Metadata, log: Logger): LiveSettings {
  const listeners: (() => void)[] = [];
  const read = () => overridesOf(base, metadata.entries('user'));
  let now = read();
  const warned = new Set<string>();
  const warn = (): void => {
    for (const problem of now.problems) if (!warned.has(problem)) log.warn(problem);
    warned.clear();
    for (const problem of now.problems) warned.add(problem);
  };
  warn();
  metadata.onChange((kind) => {
    if (kind !== 'user') return;
    const before = JSON.stringify(now.written);
    now = read();
    warn();
    if (JSON.stringify(now.written) === before) return;
    const said = now.written.map(({ key, value }) => `${key}=${value.slice(0, 100)}`);
    log.info(`configuration from user-meta: ${said.join(' ') || 'none'}`);
    for (const listener of listeners) listener();
  });
  return {
    value: (key) => now.settings.value(key),
    overrides: () => now.written,
    health: () =>
      now.problems.map((message) => ({
        code: 'CONFIG_INVALID',
        subject: 'user-meta',
        message: message.slice(0, 500),
      })),
    onChange: (listener) => void listeners.push(listener),
  };
}
