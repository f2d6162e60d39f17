// What user-meta says about the configuration: which of it counts, and what is told of the rest.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createLiveSettings } from '../../services/state-svc/live-settings.ts';
import type { Metadata } from '../../services/state-svc/metadata.ts';
import { overridesOf } from '../../services/state-svc/overrides.ts';
import { KEYS } from '../../shared/config/keys.ts';
import type { Written } from '../../shared/config/settings.ts';
import { silentLogger } from '../../shared/log/logger.ts';

const overrides = (userMeta: Readonly<Record<string, string>>, base: readonly Written[] = []) =>
  overridesOf(base, new Map(Object.entries(userMeta)));

describe('overrides', () => {
  it('are values of keys that allow it, by either of their names', () => {
    const { settings, written, problems } = overrides({ 'log.level': 'debug', PV_STORAGE_GC_RESERVED: '7', k1: 'v1' });
    assert.deepEqual(problems, []);
    assert.deepEqual(written, [
      { key: 'PV_STORAGE_GC_RESERVED', value: '7', origin: 'user meta' },
      { key: 'PV_LOG_LEVEL', value: 'debug', origin: 'user meta' },
    ]);
    assert.deepEqual([settings.value('PV_LOG_LEVEL'), settings.value('PV_STORAGE_GC_RESERVED')], ['debug', 7]);
  });

  it('win over the file and the environment, and lose against the command line', () => {
    const base = (origin: Written['origin']): Written[] => [{ key: 'PV_LOG_LEVEL', value: 'warn', origin }];
    for (const origin of ['pv conf file', 'env'] as const) {
      assert.equal(overrides({ 'log.level': 'debug' }, base(origin)).settings.value('PV_LOG_LEVEL'), 'debug');
    }
    assert.equal(overrides({ 'log.level': 'debug' }, base('command')).settings.value('PV_LOG_LEVEL'), 'warn');
  });

  it('tell a value that cannot be used, and leave what was below it', () => {
    const { settings, written, problems } = overrides({ 'log.level': 'loud' }, [
      { key: 'PV_LOG_LEVEL', value: 'warn', origin: 'env' },
    ]);
    assert.equal(settings.value('PV_LOG_LEVEL'), 'warn');
    assert.deepEqual(written, []);
    assert.match(
      problems.join(),
      /^user-meta: PV_LOG_LEVEL is 'loud'; it must be one of fatal, .*the value below it holds$/,
    );
  });

  it('tell a key that is not user-meta’s to set', () => {
    const { settings, problems } = overrides({ PV_SYSTEM_RUNDIR: '/elsewhere' });
    assert.equal(settings.value('PV_SYSTEM_RUNDIR'), KEYS.PV_SYSTEM_RUNDIR.standard);
    assert.deepEqual(problems, [
      'user-meta PV_SYSTEM_RUNDIR is no override: PV_SYSTEM_RUNDIR can only be set where Berth is started; delete it',
    ]);
  });

  it('are what a device’s user-meta may set under Pantavisor, though it does nothing here', () => {
    const { written, problems } = overrides({
      'debug.ssh': '1',
      'libthttp.log.level': '4',
      'pantahub.log.push': '0',
      PV_DEBUG_SSH_AUTHORIZED_KEYS: 'default',
    });
    assert.deepEqual([written.length, problems], [4, []]);
  });

  it('never throw, whatever somebody wrote', () => {
    const names = fc.constantFrom(
      ...Object.keys(KEYS),
      ...Object.values(KEYS).flatMap((key) => ('alias' in key ? [key.alias] : [])),
    );
    fc.assert(
      fc.property(fc.dictionary(names, fc.string({ unit: 'binary' })), (userMeta) => {
        const { settings, written, problems } = overrides(userMeta);
        assert.equal(settings.rows().length, Object.keys(KEYS).length);
        assert.ok(written.length + problems.length <= 2 * Object.keys(userMeta).length);
      }),
    );
  });
});

describe('live settings', () => {
  const user = new Map<string, string>();
  let tell: (kind: 'user' | 'device', key: string) => void = () => undefined;
  const metadata: Metadata = {
    user: (key) => user.get(key),
    entries: () => user,
    untold: () => [],
    set: async () => undefined,
    delete: async () => undefined,
    onChange: (listener) => {
      tell = listener;
    },
    health: () => [],
  };

  it('follow user-meta, tell changes of overrides only, and keep what is wrong in health', () => {
    const warned: string[] = [];
    const settings = createLiveSettings([], metadata, { ...silentLogger, warn: (line) => void warned.push(line) });
    let changes = 0;
    settings.onChange(() => {
      changes += 1;
    });
    const set = (key: string, value: string): void => {
      user.set(key, value);
      tell('user', key);
    };
    set('k1', 'v1');
    assert.equal(changes, 0);
    set('log.level', 'debug');
    tell('user', 'log.level');
    assert.deepEqual([changes, settings.value('PV_LOG_LEVEL')], [1, 'debug']);
    set('log.level', 'loud');
    set('k1', 'v2');
    assert.deepEqual([changes, settings.value('PV_LOG_LEVEL')], [2, 'info']);
    assert.deepEqual([warned.length, settings.health().length], [1, 1]);
    assert.equal(settings.health()[0]?.code, 'CONFIG_INVALID');
    user.delete('log.level');
    tell('user', 'log.level');
    assert.deepEqual([settings.health(), settings.overrides()], [[], []]);
  });
});
