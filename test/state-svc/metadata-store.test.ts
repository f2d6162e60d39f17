// Metadata on disk: what is acknowledged stays, what cannot be written changes nothing, what is not ours is left alone.
import { reexecInNamespaces } from '../kit/namespaced.ts';

reexecInNamespaces(import.meta.filename);

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { type MetadataStore, openMetadataStore } from '../../services/state-svc/metadata-store.ts';
import type { Logger } from '../../shared/log/logger.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { bundled } from '../kit/bundled.ts';
import { CANNOT_DAMAGE, makeDamagedDisk, mountArguments } from '../kit/damaged-disk.ts';
import { unmount } from '../kit/unmount.ts';

describe('metadata store', () => {
  let folder: string;
  let warnings: string[];
  let changes: string[];
  const log: Logger = { ...silentLogger, warn: (line) => void warnings.push(line) };
  const open = async (): Promise<MetadataStore> => openMetadataStore(folder, log, (key) => changes.push(key));

  beforeEach(() => {
    folder = join(mkdtempSync(join(tmpdir(), 'metadata-')), 'usrmeta');
    warnings = [];
    changes = [];
  });
  afterEach(() => rmSync(join(folder, '..'), { recursive: true, force: true }));

  it('keeps values over a restart, byte by byte, one file a key', async () => {
    const store = await open();
    for (const [key, value] of [
      ['k1', 'v1'],
      ['web.config', '{"a": 1}\n'],
      ['bom', '\ufeffx'],
      ['empty', ''],
    ] as const) {
      assert.equal(await store.set(key, value), undefined);
    }
    await store.set('k1', 'v2');
    assert.deepEqual(readdirSync(folder), ['bom', 'empty', 'k1', 'web.config']);
    assert.equal(statSync(folder).mode & 0o777, 0o700);
    assert.deepEqual([...(await open()).entries].sort(), [...store.entries].sort());
    assert.equal((await open()).entries.get('k1'), 'v2');
    assert.equal((await open()).entries.get('bom'), '\ufeffx');
  });

  it('tells changes, and only changes', async () => {
    const store = await open();
    await store.set('k1', 'v1');
    await store.set('k1', 'v1');
    await store.set('k1', 'v2');
    await store.delete('k1');
    assert.deepEqual(changes, ['k1', 'k1', 'k1']);
  });

  it('deletes a key once', async () => {
    const store = await open();
    await store.set('k1', 'v1');
    assert.equal(await store.delete('k1'), undefined);
    assert.deepEqual(await store.delete('k1'), { code: 'KEY_NOT_FOUND' });
    assert.deepEqual([...(await open()).entries], []);
  });

  it('does what is asked at once in the order it was asked', async () => {
    const store = await open();
    await Promise.all([store.set('k', '1'), store.delete('k'), store.set('k', '2'), store.set('k', '3')]);
    assert.equal((await open()).entries.get('k'), '3');
  });

  it('leaves alone what is no metadata, and says so', async () => {
    mkdirSync(join(folder, 'folder'), { recursive: true });
    writeFileSync(join(folder, '.hidden'), 'x');
    writeFileSync(join(folder, 'latin1'), Buffer.from([0xe4]));
    writeFileSync(join(folder, 'large'), 'x'.repeat(40_000));
    writeFileSync(join(folder, 'huge'), Buffer.alloc(2 * 1024 * 1024));
    writeFileSync(join(folder, 'good'), 'v');
    writeFileSync(join(folder, '.new'), 'half a va');
    assert.deepEqual([...(await open()).entries], [['good', 'v']]);
    assert.deepEqual(warnings.map((line) => line.split('/').at(-1)?.split(' ')[0]).sort(), [
      '.hidden',
      'folder',
      'huge',
      'large',
      'latin1',
    ]);
    assert.deepEqual(readdirSync(folder).sort(), ['.hidden', 'folder', 'good', 'huge', 'large', 'latin1']);
  });

  it('says that the disk is full, changes nothing, and goes on when there is room', async () => {
    mkdirSync(folder, { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'berth-metadata', folder]);
    try {
      const store = await open();
      await store.set('first', 'a'.repeat(30_000));
      assert.deepEqual(await store.set('first', 'b'.repeat(32_000)), undefined);
      await store.set('second', 'c'.repeat(20_000));
      const refused = await store.set('first', 'd'.repeat(32_000));
      assert.equal(refused?.code, 'WRITE_FAILED');
      assert.equal(refused?.code === 'WRITE_FAILED' && refused.full, true);
      assert.equal(store.entries.get('first'), 'b'.repeat(32_000));
      assert.equal(readFileSync(join(folder, 'first'), 'utf8'), 'b'.repeat(32_000));
      assert.deepEqual(readdirSync(folder).sort(), ['first', 'second']);
      assert.equal(await store.delete('second'), undefined);
      assert.equal(await store.set('first', 'e'.repeat(20_000)), undefined);
    } finally {
      await unmount(folder);
    }
  });

  it('tells on a read-only disk what is there, also where a cut left half a value', async () => {
    await (await open()).set('k', 'v');
    writeFileSync(join(folder, '.new'), 'half a va');
    execFileSync('mount', ['--bind', '-o', 'ro', folder, folder]);
    try {
      const store = await open();
      assert.deepEqual([...store.entries], [['k', 'v']]);
      assert.equal(store.unread, undefined);
      assert.match(warnings.join('\n'), /\.new, .* stays: EROFS/);
      assert.equal((await store.set('k', 'w'))?.code, 'WRITE_FAILED');
    } finally {
      await unmount(folder);
    }
    assert.deepEqual([...(await open()).entries], [['k', 'v']]);
    assert.deepEqual(readdirSync(folder), ['k']);
  });

  it('writes nothing into a folder that others can read', async () => {
    await (await open()).set('k', 'v');
    chmodSync(folder, 0o755);
    execFileSync('mount', ['--bind', '-o', 'ro', folder, folder]);
    const store = await open();
    assert.deepEqual([...store.entries], [['k', 'v']]);
    assert.match(warnings.join('\n'), /nobody else can read: EROFS/);
    assert.equal((await store.set('k', 'w'))?.code, 'WRITE_FAILED');
    await unmount(folder);
    assert.equal(await store.set('k', 'w'), undefined);
    assert.equal(statSync(folder).mode & 0o777, 0o700);
  });

  it('opens where it cannot even be made', async () => {
    const above = join(folder, '..');
    execFileSync('mount', ['--bind', '-o', 'ro', above, above]);
    const store = await open();
    assert.deepEqual([[...store.entries], store.unread], [[], undefined]);
    assert.equal((await store.set('k', 'v'))?.code, 'WRITE_FAILED');
    await unmount(above);
    assert.equal(await store.set('k', 'v'), undefined);
    assert.equal(statSync(folder).mode & 0o777, 0o700);
  });

  it('leaves out what a damaged disk does not give back, and says so of a whole folder', {
    skip: CANNOT_DAMAGE,
  }, async () => {
    const image = join(folder, '../image');
    const place = join(folder, '../disk');
    for (const kind of ['some', 'none']) mkdirSync(join(folder, kind), { recursive: true });
    for (const key of ['some/good', 'some/bad', 'none/k']) writeFileSync(join(folder, key), 'v');
    makeDamagedDisk(image, folder, ['some/bad', 'none']);
    mkdirSync(place);
    execFileSync('mount', mountArguments(image, place));
    try {
      const [some, none] = ['some', 'none'].map((kind) =>
        openMetadataStore(join(place, kind), log, (key) => changes.push(key)),
      );
      assert.deepEqual([...(some?.entries ?? [])], [['good', 'v']]);
      assert.equal(some?.unread, undefined);
      assert.deepEqual([...(none?.entries ?? [])], []);
      assert.match(none?.unread ?? '', /-74|EBADMSG/);
    } finally {
      await unmount(place);
    }
  });

  it('loses nothing that was acknowledged when it is killed at any moment', async () => {
    const writer = await bundled('test/state-svc/metadata-writer.ts');
    for (let kill = 0; kill < 4; kill += 1) {
      const child = spawn(process.execPath, [writer, folder], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const lines: string[] = [];
      let rest = '';
      for await (const chunk of child.stdout) {
        rest += String(chunk);
        const whole = rest.split('\n');
        rest = whole.pop() ?? '';
        lines.push(...whole);
        if (lines.length > 20 + kill * 23 && !child.killed) child.kill('SIGKILL');
      }
      if (child.signalCode === null) await once(child, 'exit');
      const acknowledged = new Map(lines.map((line) => [line.split(' ')[0] ?? '', Number(line.split(' ')[1])]));
      const found = (await open()).entries;
      const last = Math.max(...lines.map((line) => Number(line.split(' ')[1])));
      for (const [key, round] of acknowledged) {
        const value = found.get(key);
        const its = value === undefined ? 0 : Number(value.split(' ')[0]);
        // Or that of the one change that was under way, or acknowledged after the last line that came through.
        if (its !== round) assert.ok(its === 0 || its > last - 7, `${key}: ${its}, acknowledged ${round} of ${last}`);
        if (its > 0) assert.equal(value, `${its} ${'x'.repeat(its % 5000)}`);
      }
      assert.deepEqual(warnings, []);
      rmSync(folder, { recursive: true });
    }
  });
});
