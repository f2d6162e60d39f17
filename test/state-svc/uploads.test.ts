// Uploads whose begin takes long, or whose asker has left meanwhile.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { openObjectStore } from '../../services/state-svc/object-store.ts';
import { createUploads, MAX_UPLOADS, type UploadContext } from '../../services/state-svc/uploads.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { sha256, uploadId } from './device.ts';
import { APP, useDevices } from './kit.ts';

const open = useDevices();
const ROOM = 1_000_000;
const DIGEST = sha256('whole');

describe('state-svc.uploads', () => {
  let storage = '';
  let suspects: Set<string>;
  const uploadsWith = (parts: Partial<UploadContext> = {}) =>
    createUploads({
      storage,
      objects: openObjectStore(storage, silentLogger),
      log: silentLogger,
      arrivals: { came: () => undefined },
      makeRoom: async () => undefined,
      store: {
        isSuspect: (digest) => suspects.has(digest),
        isSeen: () => false,
        onHashed: (digest) => void suspects.delete(digest),
        // For as long as nobody waits for.
        verifyObjects: () => new Promise(() => undefined),
      },
      room: { availableBytes: async () => ROOM },
      ...parts,
    });
  const incoming = (): readonly string[] => readdirSync(join(storage, 'objects/incoming'));
  const waits = new AbortController().signal;

  beforeEach(() => {
    storage = mkdtempSync(join(tmpdir(), 'berth-uploads-'));
    mkdirSync(join(storage, 'objects/incoming'), { recursive: true });
    suspects = new Set();
  });
  afterEach(() => rmSync(storage, { recursive: true, force: true }));

  for (const [doubt, isSuspect, bytes] of [
    ['was found damaged', true, undefined],
    ['is announced with another length', false, 5],
  ] as const) {
    it(`replace a large object that ${doubt} without hashing it, and it is sound after that`, async () => {
      const path = join(storage, 'objects', DIGEST);
      writeFileSync(path, '');
      truncateSync(path, 1024 ** 3);
      if (isSuspect) suspects.add(DIGEST);
      const uploads = uploadsWith();
      const id = uploadId();
      const began = await uploads.begin({ id, sha256: DIGEST, bytes }, waits);
      assert.ok(began.kind === 'upload', began.kind);
      writeFileSync(began.path, 'whole');
      assert.equal(await uploads.finish(id), undefined);
      assert.equal(readFileSync(path, 'utf8'), 'whole');
      assert.equal((await uploads.begin({ id: uploadId(), sha256: DIGEST, bytes }, waits)).kind, 'present');
    });
  }

  it('are dropped when nobody waits any more once there is room for them', async () => {
    let made: () => void = () => undefined;
    let asked: () => void = () => undefined;
    const isAsked = new Promise<void>((resolve) => {
      asked = resolve;
    });
    let available = 0;
    const uploads = uploadsWith({
      room: { availableBytes: async () => available },
      makeRoom: () => {
        asked();
        return new Promise((resolve) => {
          made = resolve;
        });
      },
    });
    const left = new AbortController();
    const begun = uploads.begin({ id: uploadId(), sha256: DIGEST, bytes: ROOM }, left.signal);
    await isAsked;
    left.abort();
    available = ROOM + 1;
    made();
    await begun;
    assert.deepEqual([incoming(), [...uploads.expected()]], [[], []]);
    const next = await uploads.begin({ id: uploadId(), sha256: DIGEST, bytes: ROOM }, waits);
    assert.equal(next.kind, 'upload');
  });

  it('are not begun twice by one id, and the first goes on', async () => {
    const uploads = uploadsWith();
    const id = uploadId();
    const first = await uploads.begin({ id, sha256: DIGEST }, waits);
    assert.ok(first.kind === 'upload');
    assert.equal((await uploads.begin({ id, sha256: DIGEST }, waits)).kind, 'refused');
    writeFileSync(first.path, 'whole');
    assert.equal(await uploads.finish(id), undefined);
  });

  it('take no place away that ctl-svc gave up', async () => {
    const it = await open({ web: APP });
    await it.boot();
    const left = new AbortController();
    const given = Array.from({ length: MAX_UPLOADS }, () =>
      it.state.beginUpload({ id: uploadId(), sha256: DIGEST }, { signal: left.signal }),
    );
    const settled = Promise.allSettled(given);
    left.abort();
    await settled;
    const next = { id: uploadId(), sha256: DIGEST };
    await eventually('a place for an upload', PATIENCE_MS, async () => (await it.state.beginUpload(next)).ok);
  });
});
