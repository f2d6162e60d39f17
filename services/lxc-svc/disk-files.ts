// Files under disks: images without holes, and keys; each is there as a whole or not at all.
import { promises } from 'node:fs';
import { dirname } from 'node:path';
import { spareName } from '../../shared/kernel/spare-name.ts';
import { statIfThere } from '../../shared/kernel/stat-if-there.ts';

const CHUNK_BYTES = 1024 * 1024;
const KEY_BYTES = 32;

/** Throws where that cannot be told: who took an unreadable file for a missing one would make it anew over what is kept there. */
export function isThere(path: string): boolean {
  return statIfThere(path) !== undefined;
}

/** Filled, so that a full disk is found now and not by who writes to the disk in it. Throws ENOSPC with nothing left. */
export async function makeImage(path: string, mebibytes: number): Promise<void> {
  const chunk = Buffer.alloc(CHUNK_BYTES);
  await makeFile(path, mebibytes, () => chunk);
}

/** What is there stays: it may be all that opens a disk. */
export async function makeKeyFile(path: string): Promise<void> {
  if (isThere(path)) return;
  // Rare, and OpenSSL with it.
  const { randomBytes } = await import('node:crypto');
  await makeFile(path, 1, () => randomBytes(KEY_BYTES));
}

export async function makeEmptyFile(path: string): Promise<void> {
  await makeFile(path, 0, () => Buffer.alloc(0));
}

/** `chunks`: how often `chunkOf` is asked. */
export async function makeFile(path: string, chunks: number, chunkOf: () => Uint8Array): Promise<void> {
  await promises.mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const beside = spareName(`${path}.new`);
  try {
    const file = await promises.open(beside, 'w', 0o600);
    try {
      for (let written = 0; written < chunks; written += 1) await file.writeFile(chunkOf());
      await file.sync();
    } finally {
      await file.close();
    }
    await promises.rename(beside, path);
  } catch (error) {
    await promises.rm(beside, { force: true });
    throw error;
  }
  const folder = await promises.open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
