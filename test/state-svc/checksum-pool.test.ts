// The threads that hash: taken away at any time, without a word about the files that were being hashed.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createChecksums } from '../../services/state-svc/checksum-pool.ts';
import { asRun } from '../kit/as-run.ts';

describe('state.checksum-pool', () => {
  let folder = '';
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-checksums-'));
    for (const name of ['a', 'b', 'c', 'd']) writeFileSync(join(folder, name), Buffer.alloc(8 * 1024 * 1024));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('hashes small files and large ones alike, and says of what is not there that it is missing', async () => {
    const checksums = createChecksums(asRun('services/state-svc/checksum-worker.ts'));
    const hashes = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
    for (const bytes of [0, 1, 128 * 1024, 3_000_000, 3_000_000]) {
      const content = Buffer.alloc(bytes, bytes % 251);
      writeFileSync(join(folder, 'small'), content);
      assert.deepEqual(await checksums.checksum(join(folder, 'small')), { ok: true, sha256: hashes(content) });
    }
    const missing = await checksums.checksum(join(folder, 'none'));
    assert.ok(!missing.ok && missing.missing);
    const folderItself = await checksums.checksum(folder);
    assert.ok(!folderItself.ok && !folderItself.missing);
    await checksums.close();
  });

  it('says nothing of files whose hashing was cut short', async () => {
    const checksums = createChecksums(asRun('services/state-svc/checksum-worker.ts'));
    const told: string[] = [];
    for (const name of ['a', 'b', 'c', 'd']) {
      void checksums.checksum(join(folder, name)).then(
        () => told.push('hashed'),
        () => told.push('failed'),
      );
    }
    // The pool is loaded with the first file.
    await import('piscina');
    await checksums.close();
    await new Promise((resolve) => setImmediate(resolve));
    assert.ok(!told.includes('failed'), told.join());
  });
});
