// Metadata as files: filled by role, kept as the store is, never replaced under a container that has them mounted.
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { unmount } from '../kit/unmount.ts';

reexecInNamespaces(import.meta.filename);

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { type Metadata, openMetadata } from '../../services/state-svc/metadata.ts';
import { type MetadataViews, openMetadataViews } from '../../services/state-svc/metadata-views.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { createTestClock, type TestClock } from './test-clock.ts';

const WEB = { name: 'web', roles: ['nobody'] };
const BOSS = { name: 'boss', roles: ['mgmt'] };

describe('metadata views', () => {
  let base: string;
  let folder: string;
  let metadata: Metadata;
  let clock: TestClock;
  /** Undefined: what cannot be told. */
  let measured: string | undefined;
  const own = {
    keys: new Set(['time']),
    entries: () => new Map(measured === undefined ? [] : [['time', measured]]),
  };
  const open = (): MetadataViews =>
    openMetadataViews({ folder, metadata, intervalMs: () => 1000, clock, log: silentLogger });
  const seen = (container: string, kind = 'user-meta'): Record<string, string> => {
    const path = join(folder, container, kind);
    return Object.fromEntries(readdirSync(path).map((name) => [name, readFileSync(join(path, name), 'utf8')]));
  };

  beforeEach(async () => {
    base = mkdtempSync(join(tmpdir(), 'views-'));
    folder = join(base, 'meta');
    mkdirSync(folder);
    measured = '1';
    clock = createTestClock();
    metadata = await openMetadata(join(base, 'cache'), own, silentLogger);
    await metadata.set('user', 'web.k', 'v');
    await metadata.set('user', 'plain', 'p');
  });
  afterEach(() => rmSync(base, { recursive: true }));

  it('show each container what its role allows, in files that nobody in it can write', () => {
    open().show([BOSS, WEB]);
    assert.deepEqual(seen('web'), { k: 'v' });
    assert.deepEqual(seen('web', 'device-meta'), {});
    assert.deepEqual(seen('boss'), { plain: 'p', 'web.k': 'v' });
    assert.deepEqual(seen('boss', 'device-meta'), { time: '1' });
    assert.equal(statSync(join(folder, 'web/user-meta/k')).mode & 0o777, 0o444);
    assert.equal(statSync(join(folder, 'web/user-meta')).mode & 0o777, 0o755);
    assert.equal(statSync(folder).mode & 0o777, 0o700);
  });

  it('are written whole: who has a file open reads on what it was', async () => {
    open().show([WEB]);
    const reader = openSync(join(folder, 'web/user-meta/k'), 'r');
    try {
      await metadata.set('user', 'web.k', 'another value');
      assert.deepEqual(seen('web'), { k: 'another value' });
      assert.equal(readFileSync(reader, 'utf8'), 'v');
    } finally {
      closeSync(reader);
    }
  });

  it('follow every change', async () => {
    open().show([BOSS, WEB]);
    await metadata.set('user', 'web.k', 'new');
    await metadata.set('user', 'web.more', 'm');
    await metadata.delete('user', 'plain');
    assert.deepEqual(seen('web'), { k: 'new', more: 'm' });
    assert.deepEqual(seen('boss'), { 'web.k': 'new', 'web.more': 'm' });
  });

  it('keep the folder that a container has mounted, over changes and a new state-svc', async () => {
    open().show([WEB]);
    const { ino } = statSync(join(folder, 'web/user-meta'));
    await metadata.set('user', 'web.k', 'new');
    open().show([WEB]);
    assert.equal(statSync(join(folder, 'web/user-meta')).ino, ino);
    assert.deepEqual(seen('web'), { k: 'new' });
  });

  it('put right what an earlier state-svc left, and what somebody else did', () => {
    open().show([WEB, { name: 'gone', roles: [] }]);
    writeFileSync(join(folder, 'web/user-meta/stray'), 'x');
    mkdirSync(join(folder, 'web/user-meta/sub'));
    unlinkSync(join(folder, 'web/user-meta/k'));
    mkdirSync(join(folder, 'web/user-meta/k'));
    writeFileSync(join(folder, '.new'), 'half');
    open().show([WEB]);
    assert.deepEqual(seen('web'), { k: 'v' });
    assert.ok(!existsSync(join(folder, 'gone')));
  });

  it('are whole again with the next change in a folder that somebody took away', async () => {
    open().show([WEB]);
    rmSync(join(folder, 'web/user-meta'), { recursive: true });
    await metadata.set('user', 'web.more', 'm');
    assert.deepEqual(seen('web'), { k: 'v', more: 'm' });
  });

  it('take away what a container that lost its role must not see', () => {
    const views = open();
    views.show([{ ...WEB, roles: ['mgmt'] }]);
    assert.deepEqual(seen('web'), { plain: 'p', 'web.k': 'v' });
    views.show([WEB]);
    assert.deepEqual(seen('web'), { k: 'v' });
    assert.deepEqual(seen('web', 'device-meta'), {});
  });

  it('measure the device again from time to time, while somebody sees it', () => {
    const views = open();
    views.show([WEB]);
    assert.equal(clock.armed().length, 0);
    views.show([WEB, BOSS]);
    measured = '2';
    clock.advance(1000);
    assert.deepEqual(seen('boss', 'device-meta'), { time: '2' });
    measured = '3';
    for (let change = 0; change < 5; change += 1) views.refresh();
    clock.advance(50);
    assert.deepEqual(seen('boss', 'device-meta'), { time: '3' });
    views.refresh();
    views.close();
    assert.equal(clock.armed().length, 0);
  });

  it('leave what cannot be told right now as it was, and take it from who may not see it any more', () => {
    const before = open();
    before.show([BOSS, { ...WEB, roles: ['mgmt'] }]);
    before.close();
    measured = undefined;
    const views = open();
    views.show([BOSS, WEB]);
    assert.deepEqual(seen('boss', 'device-meta'), { time: '1' });
    assert.deepEqual(seen('web', 'device-meta'), {});
    measured = '2';
    clock.advance(1000);
    assert.deepEqual(seen('boss', 'device-meta'), { time: '2' });
    views.close();
  });

  it('do not measure the device for a status that nobody sees', async () => {
    let measurements = 0;
    const counting = {
      keys: new Set<string>(),
      entries: () => {
        measurements += 1;
        return new Map([['pantavisor.status', 'READY']]);
      },
    };
    metadata = await openMetadata(join(base, 'counted'), counting, silentLogger);
    const views = open();
    views.show([WEB]);
    const atFirst = measurements;
    views.refresh();
    clock.advance(1000);
    assert.equal(measurements, atFirst);
    views.show([{ name: 'pantavisor', roles: ['nobody'] }]);
    assert.deepEqual(seen('pantavisor', 'device-meta'), { status: 'READY' });
    const shown = measurements;
    views.refresh();
    clock.advance(50);
    assert.equal(measurements, shown + 1);
  });

  it('say that there is no room, and try again', async () => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=32k', 'berth-views', folder]);
    try {
      const views = open();
      views.show([WEB]);
      await metadata.set('user', 'web.large', 'x'.repeat(30_000));
      const [reason] = views.health();
      assert.equal(reason?.code, 'METADATA_UNWRITABLE');
      assert.match(reason?.message ?? '', /containers see old user-meta.*ENOSPC.*make room/);
      assert.deepEqual(seen('web'), { k: 'v' });
      execFileSync('mount', ['-o', 'remount,size=256k', folder]);
      clock.advance(1000);
      assert.deepEqual(views.health(), []);
      assert.equal(seen('web').large?.length, 30_000);
    } finally {
      await unmount(folder);
    }
  });
});
