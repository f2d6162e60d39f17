// Where metadata is that a device had under Pantavisor, or under an earlier build.
import { reexecInNamespaces } from '../kit/namespaced.ts';

reexecInNamespaces(import.meta.filename);

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { type Metadata, openMetadata } from '../../services/state-svc/metadata.ts';
import { metadataFolders } from '../../services/state-svc/metadata-folders.ts';
import type { KeyName } from '../../shared/config/keys.ts';
import { createSettings } from '../../shared/config/settings.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { CANNOT_DAMAGE, makeDamagedDisk, mountArguments } from '../kit/damaged-disk.ts';
import { unmount } from '../kit/unmount.ts';

type Configuration = readonly (readonly [KeyName, string])[];

const OWN = { keys: new Set<string>(), entries: () => new Map<string, string>() };

describe('the folders of metadata', () => {
  let storage: string;
  let warnings: string[];
  beforeEach(() => {
    storage = mkdtempSync(join(tmpdir(), 'metadata-folders-'));
    mkdirSync(join(storage, 'cache'));
    warnings = [];
  });
  afterEach(() => rmSync(storage, { recursive: true }));

  const put = (file: string, value: string): void => {
    mkdirSync(dirname(join(storage, 'cache', file)), { recursive: true });
    writeFileSync(join(storage, 'cache', file), value);
  };
  const foldersOf = (configuration: Configuration) => {
    const { settings } = createSettings(configuration.map(([key, value]) => ({ key, value, origin: 'pv conf file' })));
    const log = { ...silentLogger, warn: (message: string) => void warnings.push(message) };
    return metadataFolders(storage, settings, log);
  };
  const open = (configuration: Configuration = []): Metadata =>
    openMetadata(join(storage, 'cache'), OWN, silentLogger, foldersOf(configuration));

  it('are Berth’s own where Pantavisor left none', () => {
    open();
    assert.deepEqual(readdirSync(join(storage, 'cache')).sort(), ['devmeta', 'usrmeta']);
    assert.deepEqual(warnings, []);
  });

  it('are the one of Pantavisor’s default, which stays in use when it is empty, and from which a way back finds all', async () => {
    put('meta/k', 'v');
    mkdirSync(join(storage, 'cache/usrmeta'));
    const metadata = open();
    assert.equal(metadata.user('k'), 'v');
    await metadata.set('user', 'new', 'value');
    assert.equal(readFileSync(join(storage, 'cache/meta/new'), 'utf8'), 'value');
    for (const key of ['k', 'new']) await metadata.delete('user', key);
    assert.deepEqual([...open().entries('user')], []);
    assert.deepEqual(readdirSync(join(storage, 'cache')).sort(), ['devmeta', 'meta', 'usrmeta']);
  });

  it('are not that one where another is configured', () => {
    put('meta/k', 'stale');
    assert.deepEqual([...open([['PV_CACHE_USRMETADIR', '/storage/cache/usrmeta']]).entries('user')], []);
    assert.deepEqual(warnings, []);
  });

  for (const [what, path] of [
    ['as Pantavisor mounts the storage', '/storage/cache/mine'],
    ['as Pantavisor mounts it beside another init', '/var/pantavisor/storage/cache/mine/'],
    ['as the configuration says where the storage is', '/data//pv/cache/mine'],
  ] as const) {
    it(`are those that are configured, ${what}`, async () => {
      put('mine/k', 'v');
      const metadata = open([
        ['PV_STORAGE_MNTPOINT', '/data/pv/'],
        ['PV_CACHE_USRMETADIR', path],
        ['PV_CACHE_DEVMETADIR', path.replace('mine', 'devices')],
      ]);
      assert.equal(metadata.user('k'), 'v');
      await metadata.set('device', 'd', 'v');
      assert.deepEqual(readdirSync(join(storage, 'cache')).sort(), ['devices', 'mine']);
      assert.deepEqual(warnings, []);
    });
  }

  it('are Berth’s own where an earlier build kept keys, and what is left out is told', () => {
    put('usrmeta/k', 'new');
    put('meta/k', 'old');
    assert.equal(open().user('k'), 'new');
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? '', /cache\/meta is not used, as .*cache\/usrmeta holds some/);
  });

  for (const path of [
    '/data/meta',
    '/storage/cache',
    '/storage/cache/',
    '/storage/cache/a/b',
    '/storage/cache/..',
    '/storage/cache/../boot',
    '/storage/cache/containers.json',
    '/storage/cache/devmeta',
    '/storage/cache/link',
    'cache/usrmeta',
  ]) {
    it(`are none by ${path}, which is told`, () => {
      symlinkSync('..', join(storage, 'cache/link'));
      assert.deepEqual(foldersOf([['PV_CACHE_USRMETADIR', path]]), { user: 'usrmeta', device: 'devmeta' });
      assert.equal(warnings.length, 1);
      assert.match(warnings[0] ?? '', /^PV_CACHE_USRMETADIR is '.*cache\/usrmeta is used$/);
    });
  }

  it('are never one for both', () => {
    const path = '/storage/cache/both';
    const folders = foldersOf([
      ['PV_CACHE_USRMETADIR', path],
      ['PV_CACHE_DEVMETADIR', path],
    ]);
    assert.deepEqual(folders, { user: 'both', device: 'devmeta' });
  });

  it('stay in use where a damaged disk does not give them back, which health says', {
    skip: CANNOT_DAMAGE,
  }, async () => {
    put('meta/k', 'v');
    put('devmeta/k', 'v');
    const cache = join(storage, 'cache');
    makeDamagedDisk(join(storage, 'image'), cache, ['meta']);
    execFileSync('mount', mountArguments(join(storage, 'image'), cache));
    try {
      const metadata = open();
      assert.deepEqual([...metadata.entries('user')], []);
      assert.deepEqual([...metadata.entries('device')], [['k', 'v']]);
      assert.deepEqual(
        metadata.health().map(({ code, subject }) => [code, subject]),
        [['METADATA_UNREADABLE', 'cache/meta']],
      );
      assert.equal((await metadata.set('user', 'k', 'w'))?.code, 'WRITE_FAILED');
    } finally {
      await unmount(cache);
    }
  });
});
