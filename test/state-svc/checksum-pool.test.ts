// The threads that hash: taken away at any time, without a word about the files that were being hashed.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createChecksums } from '../../services/state-svc/checksum-pool.ts';

describe('state.checksum-pool', () => {
  let folder = '';
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-checksums-'));
    for (const name of ['a', 'b', 'c', 'd']) writeFileSync(join(folder, name), Buffer.alloc(8 * 1024 * 1024));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('says nothing of files whose hashing was cut short', async () => {
    const checksums = createChecksums(join(import.meta.dirname, '../../services/state-svc/checksum-worker.ts'));
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
