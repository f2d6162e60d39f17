import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { readConfigText, readEnvironment } from '../../shared/config/config-file.ts';
import { KEYS, type Key } from '../../shared/config/keys.ts';
import { createSettings, findKey, type Origin, type Written } from '../../shared/config/settings.ts';

function settings(...written: readonly Written[]) {
  return createSettings(written).settings;
}

function row(key: keyof typeof KEYS, ...written: readonly Written[]) {
  return settings(...written)
    .rows()
    .find((each) => each.key === key);
}

describe('config.keys', () => {
  it('has a default of its own kind for every key', () => {
    const { rows } = settings();
    assert.equal(rows().length, Object.keys(KEYS).length);
    for (const { origin } of rows()) assert.equal(origin, 'default');
  });

  it('gives no name twice, and none that is the name of another key', () => {
    const names = Object.entries(KEYS).flatMap(([key, { alias, otherNames = [] }]: readonly [string, Key<unknown>]) => [
      key,
      ...(alias === undefined ? [] : [alias]),
      ...otherNames,
    ]);
    assert.equal(new Set(names.map((name) => name.toLowerCase())).size, names.length);
  });
});

describe('config.settings', () => {
  it('reads a value as its kind says', () => {
    const written = (key: keyof typeof KEYS, value: string): Written => ({ key, value, origin: 'env' });
    const all = settings(
      written('PV_LOG_DIR_MAXSIZE', '20MB'),
      written('PV_LOG_SERVER_OUTPUTS', 'filetree, stdout.pantavisor'),
      written('PV_LOG_CAPTURE', 'Off'),
      written('BERTH_LEASE_HOLD', '2h'),
      written('PV_SECUREBOOT_MODE', '3'),
    );
    assert.deepEqual(all.value('PV_LOG_DIR_MAXSIZE'), { kind: 'bytes', bytes: 20 * 1024 * 1024 });
    assert.deepEqual(all.value('PV_LOG_SERVER_OUTPUTS'), ['filetree', 'stdout.pantavisor']);
    assert.equal(all.value('PV_LOG_CAPTURE'), false);
    assert.equal(all.value('BERTH_LEASE_HOLD'), 7200);
    assert.equal(all.value('PV_SECUREBOOT_MODE'), 'strict');
    assert.equal(all.value('PV_UPDATER_COMMIT_DELAY'), 25);
  });

  it('takes places that are the same wherever Berth was started, and none', () => {
    const problemsOf = (key: keyof typeof KEYS, value: string) =>
      createSettings([{ key, value, origin: 'env' }]).problems.map(({ message }) => message);
    const places = [
      'PV_DISK_EXPORTSDIR',
      'PV_SYSTEM_ETCDIR',
      'PV_SYSTEM_LIBDIR',
      'BERTH_PROC',
      'BERTH_WATCHDOG',
    ] as const;
    for (const key of places) {
      assert.deepEqual([...problemsOf(key, '/a/b'), ...problemsOf(key, '')], []);
      for (const value of ['a', './a', '../a', '~/a', ' /a']) {
        assert.deepEqual(problemsOf(key, value), [`${key} is '${value}'; it must be an absolute path`]);
      }
    }
    for (const key of ['BERTH_MODPROBE', 'BERTH_CRYPTSETUP'] as const) {
      assert.deepEqual(
        ['true', '/bin/true', ''].flatMap((value) => problemsOf(key, value)),
        [],
      );
      assert.equal(problemsOf(key, 'bin/true').length, 1);
    }
  });

  it('shows values with the JSON types that clients know', () => {
    assert.equal(row('PV_LOG_SERVER_OUTPUTS')?.shown, 132);
    assert.equal(row('PV_LOG_LEVEL')?.shown, 4);
    assert.equal(row('PV_DEBUG_SSH')?.shown, false);
    assert.equal(row('PH_CREDS_ID')?.shown, null);
    assert.equal(row('PV_LOG_DIR_MAXSIZE', { key: 'PV_LOG_DIR_MAXSIZE', value: '10%', origin: 'env' })?.shown, '10%');
  });

  it('lets the strongest origin win, in whatever order values come', () => {
    const origins: readonly Exclude<Origin, 'default'>[] = ['pv conf file', 'env', 'user meta', 'command'];
    fc.assert(
      fc.property(fc.shuffledSubarray([...origins], { minLength: 1 }), (order) => {
        const written = order.map(
          (origin): Written => ({ key: 'PV_UPDATER_COMMIT_DELAY', value: String(origins.indexOf(origin)), origin }),
        );
        const strongest = Math.max(...order.map((origin) => origins.indexOf(origin)));
        return settings(...written).value('PV_UPDATER_COMMIT_DELAY') === strongest;
      }),
    );
  });

  it('keeps what was below a value that cannot be used, and names key, value and what is allowed', () => {
    const { settings: left, problems } = createSettings([
      { key: 'PV_UPDATER_COMMIT_DELAY', value: '7', origin: 'pv conf file' },
      { key: 'PV_UPDATER_COMMIT_DELAY', value: 'soon', origin: 'env' },
    ]);
    assert.equal(left.value('PV_UPDATER_COMMIT_DELAY'), 7);
    assert.deepEqual(problems, [
      {
        key: 'PV_UPDATER_COMMIT_DELAY',
        origin: 'env',
        message: "PV_UPDATER_COMMIT_DELAY is 'soon'; it must be a whole number of up to nine digits",
      },
    ]);
  });

  it('does not let user-meta set what is not its to set', () => {
    const { settings: left, problems } = createSettings([
      { key: 'PV_SECUREBOOT_MODE', value: 'disabled', origin: 'user meta' },
      { key: 'PV_SECUREBOOT_MODE', value: 'strict', origin: 'pv conf file' },
    ]);
    assert.equal(left.value('PV_SECUREBOOT_MODE'), 'strict');
    assert.deepEqual(
      problems.map(({ key, origin }) => [key, origin]),
      [['PV_SECUREBOOT_MODE', 'user meta']],
    );
  });

  it('hands on what was written so that it reads the same again', () => {
    const first = settings({ key: 'PV_LOG_LEVEL', value: 'debug', origin: 'env' });
    assert.deepEqual(settings(...first.written()).rows(), first.rows());
  });

  it('never throws, whatever is written', () => {
    const keys = Object.keys(KEYS).flatMap((name) => findKey(name) ?? []);
    fc.assert(
      fc.property(fc.constantFrom(...keys), fc.string(), (key, value) => {
        settings({ key, value, origin: 'env' }).rows();
      }),
    );
  });
});

describe('config.file', () => {
  it('takes keys by either name and in any case, past comments, blanks and quotes', () => {
    const { written, problems } = readConfigText(
      ['# how this board logs', '', 'pv_log_level = 5', 'updater.commit.delay="3"', "PV_POLICY='a=b'"].join('\n'),
      'c',
    );
    assert.deepEqual(problems, []);
    assert.deepEqual(
      written.map(({ key, value }) => [key, value]),
      [
        ['PV_LOG_LEVEL', '5'],
        ['PV_UPDATER_COMMIT_DELAY', '3'],
        ['PV_POLICY', 'a=b'],
      ],
    );
  });

  it('names the line of what it does not understand, and reads on', () => {
    const text = 'BERTH_NO_SUCH=1\nnonsense\nPV_LOG_LEVEL=1\nPV_WDT_TIMEOUT=x';
    const { written, problems, notes } = readConfigText(text, '/etc/c');
    assert.deepEqual(
      problems.map(({ message }) => message),
      [
        "/etc/c:1: there is no key 'BERTH_NO_SUCH'; it is ignored",
        "/etc/c:2: 'nonsense' has no '='; write KEY=value",
        "/etc/c:4: PV_WDT_TIMEOUT is 'x'; it must be a whole number of up to nine digits",
      ],
    );
    assert.equal(written.length, 1);
    assert.deepEqual(notes, []);
  });

  it('notes keys that are Pantavisor’s by their names, and are no fault', () => {
    const { written, problems, notes } = readConfigText('pv_no_such=1\nPH_NONE=\nwdt.enabled=0\nlog.level=1', 'c');
    assert.deepEqual([written.map(({ key }) => key), problems], [['PV_LOG_LEVEL'], []]);
    assert.deepEqual(
      notes,
      ['pv_no_such', 'PH_NONE', 'wdt.enabled'].map(
        (name, index) => `c:${index + 1}: there is no key '${name}'; it is ignored`,
      ),
    );
  });

  it('takes keys by the names that they had in earlier releases of Pantavisor', () => {
    const names = {
      'updater.keep_factory': 'PV_STORAGE_GC_KEEP_FACTORY',
      'meta.cache.dir': 'PV_CACHE_USRMETADIR',
      'pantahub.log.push': 'PV_LOG_PUSH',
      'libthttp.certsdir': 'PV_LIBTHTTP_CERTSDIR',
      'storage.opts': 'PV_STORAGE_OPTS',
      'log.maxsize': 'PV_LOG_MAXSIZE',
    };
    for (const [name, key] of Object.entries(names)) assert.equal(findKey(name), key);
  });

  it('takes the boot loaders of all devices', () => {
    const types = ['uboot', 'uboot-pvk', 'grub', 'rpiab', 'uboot-ab', 'efiab'];
    assert.deepEqual(readConfigText(types.map((type) => `bootloader.type=${type}`).join('\n'), 'c').problems, []);
  });
});

describe('config.environment', () => {
  it('takes variables that are keys and leaves all others', () => {
    const env = { PV_LOG_LEVEL: '1', PV_SOMETHING: 'x', BERTH_SEED: '7', HOME: '/', 'log.level': '2' };
    const written = [{ key: 'PV_LOG_LEVEL', value: '1', origin: 'env' }];
    assert.deepEqual(readEnvironment(env), { written, problems: [], notes: [], sysctls: [] });
  });

  it('is named where one of them cannot be used', () => {
    const { written, problems } = readEnvironment({ PV_WDT_TIMEOUT: 'x', PV_LOG_LEVEL: '1' });
    assert.deepEqual(
      written.map(({ key }) => key),
      ['PV_LOG_LEVEL'],
    );
    const message = "the environment: PV_WDT_TIMEOUT is 'x'; it must be a whole number of up to nine digits";
    assert.deepEqual(problems, [{ key: 'PV_WDT_TIMEOUT', origin: 'env', message }]);
  });
});
