// Small files that survive a power cut whole: written beside, synced, renamed, the folder synced. Each of these steps waits for a thread of the pool,
// since a disk may take seconds, so there are as few as can be.
import { constants, mkdirSync } from 'node:fs';
import { type FileHandle, mkdir, open, rename, stat, unlink, utimes } from 'node:fs/promises';
import { dirname } from 'node:path';
import { spareName } from '../../shared/kernel/spare-name.ts';
import { errorCode } from '../../shared/kernel/system-error.ts';

/** Every write(2) is one and an fsync(2) (open(2)). */
const WRITE_SYNCED = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_SYNC;

export interface Writing {
  /** The name of what is written beside; `<path>.new` where it is not said. */
  readonly beside?: string;
  /** The file's time is no earlier than this, whatever the clock says. */
  readonly notBeforeMs?: number | undefined;
}

/**
 * After it resolves the file holds `text`, whatever happens next; before that it holds what it held.
 * One writer per path at a time, and per `beside`, or what stands in for it. FileHandle.sync, because Node's permission model disables fs.fsync.
 */
export async function writeAtomically(path: string, text: string, writing: Writing = {}): Promise<void> {
  const beside = spareName(writing.beside ?? `${path}.new`);
  const { file, folder } = await openBoth(path, beside);
  try {
    try {
      await file.writeFile(text).finally(() => closeBehind(file));
      if (writing.notBeforeMs !== undefined) await setTime(beside, writing.notBeforeMs);
      await rename(beside, path);
    } catch (error) {
      // What was written of it would keep a full disk full.
      await unlink(beside).catch(() => undefined);
      throw error;
    }
    await folder.sync();
  } finally {
    closeBehind(folder);
  }
}

/** By its path: Node's permission model has no futimes. */
async function setTime(path: string, notBeforeMs: number): Promise<void> {
  if ((await stat(path)).mtimeMs >= notBeforeMs) return;
  const time = new Date(notBeforeMs);
  await utimes(path, time, time);
  await syncPath(path);
}

/** Nobody waits for a thread for it: what close(2) could complain of is on the disk already, or was told. */
function closeBehind(file: FileHandle): void {
  file.close().catch(() => undefined);
}

interface Opened {
  readonly file: FileHandle;
  readonly folder: FileHandle;
}

/** The folder is made where it is not there. */
async function openBoth(path: string, beside: string): Promise<Opened> {
  try {
    return await openTogether(path, beside);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
    await ensureFolders(dirname(path));
    return await openTogether(path, beside);
  }
}

/** In two threads at once. */
async function openTogether(path: string, beside: string): Promise<Opened> {
  const opening = [open(beside, WRITE_SYNCED, 0o644), open(dirname(path), 'r')] as const;
  try {
    const [file, folder] = await Promise.all(opening);
    return { file, folder };
  } catch (error) {
    for (const each of opening) await each.then((opened) => opened.close()).catch(() => undefined);
    throw error;
  }
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

/** With its parents. Node's own mkdir, in threads, says ENOENT of a full disk; done at once it says what is so. */
export async function ensureFolders(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
    mkdirSync(path, { recursive: true });
  }
}
