// Objects that are not hashed again because they look as they did: only where that is asked for.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import * as fc from 'fast-check';
import type { Checksums } from '../../services/state-svc/checksum-pool.ts';
import { checksumFile } from '../../services/state-svc/checksum-worker.ts';
import { openKnownChecksums } from '../../services/state-svc/known-checksums.ts';
import { openRevisionStore, type RevisionStore } from '../../services/state-svc/revision-store.ts';
import { UNCHECKED } from '../../services/state-svc/signature-check.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { sha256 } from './device.ts';

const ROOT = 'the root filesystem';
const DIGEST = sha256(ROOT);

describe('known checksums', () => {
  let storage: string;
  let hashed: string[];
  const checksums: Checksums = {
    checksum: async (path) => {
      hashed.push(path);
      return checksumFile(path);
    },
    close: async () => undefined,
  };
  const cachePath = (): string => join(storage, 'cache/checksums.json');
  const objectPath = (digest: string): string => join(storage, 'objects', digest);
  /** As after a start. */
  const start = (remembers = true): RevisionStore => {
    hashed = [];
    const known = remembers ? openKnownChecksums(cachePath(), checksums, silentLogger) : undefined;
    return openRevisionStore(storage, checksums, { signatures: UNCHECKED, rehash: true, known });
  };
  const codes = async (store: RevisionStore, occasion: 'new' | 'known' = 'known'): Promise<readonly string[]> =>
    (await store.verifyObjects(new Map([['a/root', DIGEST]]), occasion)).map(({ code }) => code);
  /** As a card does that decays: nothing but the bytes tells. */
  const corrupt = (): void => {
    const before = statSync(objectPath(DIGEST));
    writeFileSync(objectPath(DIGEST), ROOT.toUpperCase());
    utimesSync(objectPath(DIGEST), before.atime, before.mtime);
    assert.equal(statSync(objectPath(DIGEST)).ino, before.ino);
  };

  beforeEach(() => {
    storage = mkdtempSync(join(tmpdir(), 'state-known-'));
    mkdirSync(join(storage, 'objects'));
    writeFileSync(objectPath(DIGEST), ROOT);
    // A time that utimes can set again, to the nanosecond.
    utimesSync(objectPath(DIGEST), 1_700_000_000, 1_700_000_000);
  });
  afterEach(() => rmSync(storage, { recursive: true }));

  it('spare the second start from hashing, and only in their mode', async () => {
    assert.deepEqual(await codes(start()), []);
    assert.equal(hashed.length, 1);
    assert.deepEqual(await codes(start()), []);
    assert.equal(hashed.length, 0);
    assert.deepEqual(await codes(start(false)), []);
    assert.equal(hashed.length, 1);
  });

  it('do not see an object that changed without a trace, which the default mode finds', async () => {
    assert.deepEqual(await codes(start()), []);
    corrupt();
    assert.deepEqual(await codes(start()), []);
    assert.deepEqual(await codes(start(false)), ['OBJECT_CORRUPT']);
  });

  it('count for nothing when a revision comes or is tried', async () => {
    assert.deepEqual(await codes(start()), []);
    corrupt();
    assert.deepEqual(await codes(start(), 'new'), ['OBJECT_CORRUPT']);
    // What was found is what is known now.
    assert.deepEqual(await codes(start()), ['OBJECT_CORRUPT']);
    assert.equal(hashed.length, 0);
  });

  it('see a file that was replaced, written to, cut short or taken away', async () => {
    const changes: readonly (readonly [string, () => void, readonly string[]])[] = [
      ['written to', () => writeFileSync(objectPath(DIGEST), ROOT.toUpperCase()), ['OBJECT_CORRUPT']],
      ['cut short', () => writeFileSync(objectPath(DIGEST), ''), ['OBJECT_CORRUPT']],
      ['restored', () => writeFileSync(objectPath(DIGEST), ROOT), []],
      ['taken away', () => rmSync(objectPath(DIGEST)), ['OBJECT_MISSING']],
      ['replaced', () => writeFileSync(objectPath(DIGEST), ROOT.toUpperCase()), ['OBJECT_CORRUPT']],
    ];
    assert.deepEqual(await codes(start()), []);
    for (const [what, change, expected] of changes) {
      change();
      assert.deepEqual(await codes(start()), expected, what);
      assert.equal(hashed.length, 1, what);
    }
  });

  it('are forgotten when their file is damaged, and written anew', async () => {
    assert.deepEqual(await codes(start()), []);
    const whole = readFileSync(cachePath(), 'utf8');
    const damages = [
      '',
      '{',
      '[]',
      'null',
      '{"1 2 3":"no digest"}',
      whole.slice(0, -10),
      `${whole}x`,
      '\0'.repeat(100),
    ];
    for (const damage of damages) {
      writeFileSync(cachePath(), damage);
      assert.deepEqual(await codes(start()), [], JSON.stringify(damage));
      assert.equal(hashed.length, 1, JSON.stringify(damage));
      assert.equal(readFileSync(cachePath(), 'utf8'), whole);
    }
    await fc.assert(
      fc.asyncProperty(fc.string(), async (text) => {
        writeFileSync(cachePath(), text);
        assert.deepEqual(await codes(start()), []);
      }),
      { numRuns: 20 },
    );
  });

  it('are no reason to fail where they cannot be written', async () => {
    writeFileSync(join(storage, 'cache'), 'a file in the way');
    assert.deepEqual(await codes(start()), []);
    assert.deepEqual(await codes(start()), []);
    assert.equal(hashed.length, 1);
  });

  it('are all written when several revisions are verified at a time', async () => {
    const warnings: string[] = [];
    const log = { ...silentLogger, warn: (line: string) => void warnings.push(line) };
    const known = openKnownChecksums(cachePath(), checksums, log);
    const files = Array.from({ length: 20 }, (_, index) => join(storage, `file${index}`));
    const saves: Promise<void>[] = [];
    for (const file of files) {
      writeFileSync(file, file);
      await known.hash(file);
      saves.push(known.save());
    }
    await Promise.all(saves);
    assert.deepEqual(warnings, []);
    assert.equal(Object.keys(JSON.parse(readFileSync(cachePath(), 'utf8'))).length, files.length);
  });

  it('are bounded: those that were used longest ago go', async () => {
    const most = 20;
    const known = openKnownChecksums(cachePath(), checksums, silentLogger, most);
    hashed = [];
    await known.hash(objectPath(DIGEST));
    const other = join(storage, 'other');
    for (let index = 0; index < most; index += 1) {
      writeFileSync(other, '');
      utimesSync(other, index, index);
      await known.hash(other);
      if (index % 10 === 0) await known.checksum(objectPath(DIGEST));
    }
    await known.save();
    assert.equal(Object.keys(JSON.parse(readFileSync(cachePath(), 'utf8'))).length, most);
    assert.deepEqual(await codes(start()), []);
    assert.equal(hashed.length, 0);
    utimesSync(other, 0, 0);
    await openKnownChecksums(cachePath(), checksums, silentLogger).checksum(other);
    assert.equal(hashed.length, 1);
  });
});
