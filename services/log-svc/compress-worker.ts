// Runs in a pool thread: replaces one rotated file by its compressed form.
import { createReadStream, renameSync, rmSync, statSync, utimesSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { reasonOf } from '../../shared/kernel/system-error.ts';
import { partName } from './rotated-name.ts';

/** Errors come back as values: what is thrown across threads loses its errno code. */
export type Compressed = { readonly ok: true } | { readonly ok: false; readonly reason: string };

const FILE_MODE = 0o640;

/**
 * Under its final name the compressed file is whole and on the disk; only then the original goes. It keeps the original's time, by which
 * the oldest is found. Memory does not depend on the file's size.
 */
export async function compressFile(path: string): Promise<Compressed> {
  const part = join(dirname(path), partName(basename(path)));
  try {
    const { atime, mtime } = statSync(path);
    await writeCompressed(path, part);
    utimesSync(part, atime, mtime);
    renameSync(part, `${path}.gz`);
    rmSync(path);
    return { ok: true };
  } catch (error) {
    rmSync(part, { force: true });
    return { ok: false, reason: reasonOf(error) };
  }
}

async function writeCompressed(path: string, part: string): Promise<void> {
  const file = await open(part, 'w', FILE_MODE);
  try {
    await pipeline(createReadStream(path), createGzip(), async (chunks: AsyncIterable<Buffer>) => {
      for await (const chunk of chunks) await file.writeFile(chunk);
    });
    await file.sync();
  } finally {
    await file.close();
  }
}
