// A state that is put: which of its objects are hashed while somebody waits, and which only when it is to run.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { checksumFile } from '../../services/state-svc/checksum-worker.ts';
import { openObjectStore } from '../../services/state-svc/object-store.ts';
import { openRevisionStore, type RevisionStore } from '../../services/state-svc/revision-store.ts';
import { createSeenObjects } from '../../services/state-svc/seen-objects.ts';
import { createUploads, type Uploads } from '../../services/state-svc/uploads.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { sha256, uploadId } from './device.ts';

const ROOT = 'the root filesystem';
const DIGEST = sha256(ROOT);

describe('objects of a state that is put', () => {
  let storage: string;
  let hashed: number;
  let store: RevisionStore;
  let uploads: Uploads;
  const objectPath = (): string => join(storage, 'objects', DIGEST);
  const codes = async (occasion: 'put' | 'new' | 'known'): Promise<readonly string[]> =>
    (await store.verifyObjects(new Map([['a/root', DIGEST]]), occasion)).map(({ code }) => code);
  const begin = (id: string) => uploads.begin({ id, sha256: DIGEST, bytes: ROOT.length }, new AbortController().signal);
  const uploadAs = async (id: string): Promise<void> => {
    writeFileSync(join(storage, 'objects/incoming', id), ROOT);
    assert.equal(await uploads.finish(id), undefined);
  };
  const upload = async (): Promise<void> => {
    const id = uploadId();
    assert.equal((await begin(id)).kind, 'upload');
    await uploadAs(id);
  };

  beforeEach(async () => {
    storage = mkdtempSync(join(tmpdir(), 'state-seen-'));
    mkdirSync(join(storage, 'objects'));
    hashed = 0;
    const checksum = async (path: string) => {
      hashed += 1;
      return checksumFile(path);
    };
    store = openRevisionStore(storage, { checksum, close: async () => undefined });
    const room = { availableBytes: async () => 1_000_000 };
    const objects = openObjectStore(storage, silentLogger);
    uploads = createUploads({
      storage,
      objects,
      store,
      room,
      arrivals: { came: () => undefined },
      log: silentLogger,
      makeRoom: async () => undefined,
    });
    await uploads.open();
  });
  afterEach(() => rmSync(storage, { recursive: true }));

  it('are not hashed again that were hashed when they were uploaded, nor when their upload was spared', async () => {
    await upload();
    assert.deepEqual([await codes('put'), hashed], [[], 0]);
    utimesSync(objectPath(), 1_700_000_000, 1_700_000_000);
    assert.deepEqual([await codes('put'), hashed], [[], 1]);
    assert.equal((await begin(uploadId())).kind, 'present');
    assert.notEqual(statSync(objectPath()).mtimeMs, 1_700_000_000_000);
    assert.deepEqual([await codes('put'), hashed], [[], 1]);
  });

  for (const occasion of ['known', 'new', 'put'] as const) {
    it(`are not hashed again that were hashed here on ${occasion}`, async () => {
      writeFileSync(objectPath(), ROOT);
      assert.deepEqual([await codes(occasion), hashed], [[], 1]);
      assert.deepEqual([await codes('put'), hashed], [[], 1]);
    });
  }

  it('are all hashed when they are to run, at a start as well', async () => {
    await upload();
    for (const [index, occasion] of (['new', 'known', 'new'] as const).entries()) {
      assert.deepEqual([await codes(occasion), hashed], [[], index + 1]);
    }
  });

  it('are hashed that were found damaged, although they look as they did, and stay suspects', async () => {
    writeFileSync(objectPath(), ROOT);
    const time = 1_700_000_000;
    utimesSync(objectPath(), time, time);
    assert.deepEqual(await codes('new'), []);
    writeFileSync(objectPath(), ROOT.toUpperCase());
    utimesSync(objectPath(), time, time);
    assert.deepEqual([await codes('put'), store.isSuspect(DIGEST)], [[], false]);
    assert.deepEqual([await codes('new'), store.isSuspect(DIGEST)], [['OBJECT_CORRUPT'], true]);
    assert.deepEqual([await codes('put'), store.isSuspect(DIGEST)], [['OBJECT_CORRUPT'], true]);
  });

  it('are hashed that changed, or that were there before their upload came, and found when they are gone', async () => {
    const [first, second] = [uploadId(), uploadId()];
    await begin(first);
    await begin(second);
    await uploadAs(first);
    writeFileSync(objectPath(), ROOT.toUpperCase());
    assert.deepEqual([await codes('put'), hashed], [['OBJECT_CORRUPT'], 1]);
    await uploadAs(second);
    assert.deepEqual([await codes('put'), hashed], [['OBJECT_CORRUPT'], 2]);
    await upload();
    assert.deepEqual([await codes('put'), hashed], [[], 3]);
    rmSync(objectPath());
    assert.deepEqual(await codes('put'), ['OBJECT_MISSING']);
  });

  it('are forgotten that were seen longest ago, and nothing is known of what changes while it is hashed', async () => {
    const seen = createSeenObjects(2);
    const paths = ['a', 'b', 'c'].map((name) => join(storage, name));
    for (const path of paths) writeFileSync(path, path);
    for (const path of paths) seen.note(path, path);
    assert.deepEqual(
      paths.map((path) => seen.holds(path, path)),
      [false, true, true],
    );
    const [path = ''] = paths;
    await seen.noting(async () => {
      writeFileSync(path, 'longer than it was before');
      return { ok: true, sha256: path };
    })(path);
    assert.equal(seen.holds(path, path), false);
  });
});
