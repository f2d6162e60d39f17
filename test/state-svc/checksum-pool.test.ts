// The threads that hash: taken away at any time, or not to be had, without a word about the files that were to be hashed.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type Checksums, createChecksums } from '../../services/state-svc/checksum-pool.ts';
import type { FileChecksum } from '../../services/state-svc/checksum-worker.ts';
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

  const fourHashed = async (checksums: Checksums): Promise<readonly FileChecksum[]> =>
    Promise.all(['a', 'b', 'c', 'd'].map((name) => checksums.checksum(join(folder, name))));
  const right = createHash('sha256')
    .update(Buffer.alloc(8 * 1024 * 1024))
    .digest('hex');
  const allRight = Array<FileChecksum>(4).fill({ ok: true, sha256: right });

  it('hashes without threads where none comes up, and in threads once they do', async (context) => {
    const worker = join(folder, 'none-yet.cjs');
    const warnings: string[] = [];
    const checksums = createChecksums(worker, { warn: (line) => warnings.push(line) });
    context.after(() => checksums.close());
    assert.deepEqual(await fourHashed(checksums), allRight);
    const missing = await checksums.checksum(join(folder, 'none'));
    assert.ok(!missing.ok && missing.missing);
    const folderItself = await checksums.checksum(folder);
    assert.ok(!folderItself.ok && !folderItself.missing);
    assert.match(warnings[0] ?? '', /none-yet\.cjs/);
    const told = warnings.length;
    const answer: FileChecksum = { ok: true, sha256: 'of a thread' };
    writeFileSync(worker, `exports.checksumFile = () => (${JSON.stringify(answer)});`);
    assert.deepEqual(await checksums.checksum(join(folder, 'a')), answer);
    assert.equal(warnings.length, told);
  });

  it('hashes without threads what those had that end in the middle of it', async (context) => {
    const worker = join(folder, 'ends.cjs');
    writeFileSync(worker, 'exports.checksumFile = () => process.exit(1);');
    const checksums = createChecksums(worker);
    context.after(() => checksums.close());
    assert.deepEqual(await fourHashed(checksums), allRight);
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
