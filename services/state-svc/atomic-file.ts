// Small files that survive a power cut whole: written beside, synced, renamed, the folder synced.
import { mkdir, open, readFile, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * After it resolves the file holds `text`, whatever happens next; before that it holds what it held.
 * One writer per path at a time, and per `beside`. FileHandle.sync, because Node's permission model disables fs.fsync.
 */
export async function writeAtomically(path: string, text: string, beside = `${path}.new`): Promise<void> {
  const folder = dirname(path);
  await mkdir(folder, { recursive: true });
  try {
    const file = await open(beside, 'w', 0o644);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(beside, path);
  } catch (error) {
    // What was written of it would keep a full disk full.
    await unlink(beside).catch(() => undefined);
    throw error;
  }
  await syncPath(folder);
}

/** What was written into the file, or renamed, linked and removed in the folder, is on disk when it resolves. */
export async function syncPath(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** `undefined` when there is no such file; anything else that goes wrong is thrown. */
export async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** The errno name of a system error, `''` for any other. */
export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}
