// One kind of metadata on disk, and in memory what is on disk:
//   <folder>/<key>   the value, as it was sent
//   <folder>/.new    a value that is being written
import {
  chmodSync,
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  unlinkSync,
} from 'node:fs';
import { unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { TextDecoder } from 'node:util';
import { errorCode, isFull, reasonOf } from '../../shared/kernel/system-error.ts';
import type { Logger } from '../../shared/log/logger.ts';
import { keyProblem, valueProblem } from '../../shared/schema/metadata.ts';
import { createTurn } from '../../shared/time/in-turn.ts';
import { syncPath, writeAtomically } from './atomic-file.ts';
import { type Entries, type LimitReached, limitReached } from './metadata-limits.ts';

export type WriteFailed = { readonly code: 'WRITE_FAILED'; readonly full: boolean; readonly reason: string };
export type SetOutcome = LimitReached | WriteFailed | undefined;
export type DeleteOutcome = { readonly code: 'KEY_NOT_FOUND' } | WriteFailed | undefined;

export interface MetadataStore {
  /** What is on disk, in no order. */
  readonly entries: Entries;
  /** Undefined: it is on disk. Otherwise nothing changed. `key` and `value` are legal. */
  set(key: string, value: string): Promise<SetOutcome>;
  delete(key: string): Promise<DeleteOutcome>;
  /** Why nothing of what may be in the folder is among the entries. */
  readonly unread: string | undefined;
}

/** Or what its name begins with, where the disk does not give that one. No key begins with a dot. */
export const HALF = '.new';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * What is in the folder and no metadata is told, left alone and not shown. Never throws: on a storage that is read-only or damaged containers
 * run all the same.
 */
export function openMetadataStore(folder: string, log: Logger, changed: (key: string) => void): MetadataStore {
  let isPrivate = false;
  const ensurePrivate = (): void => {
    if (!isPrivate) makePrivate(folder);
    isPrivate = true;
  };
  try {
    ensurePrivate();
  } catch (error) {
    log.warn(`metadata cannot be changed before ${folder} is a folder that nobody else can read: ${reasonOf(error)}`);
  }
  const { entries, unread } = load(folder, log);
  // One after the other: there is one `.new`, and limits hold over all keys.
  const inTurn = createTurn();
  return {
    entries,
    unread,
    set: (key, value) =>
      inTurn(async () => {
        if (entries.get(key) === value) return undefined;
        const limit = limitReached(entries, key, value);
        if (limit !== undefined) return limit;
        try {
          ensurePrivate();
          await writeAtomically(join(folder, key), value, { beside: join(folder, HALF) });
        } catch (error) {
          return writeFailed(error);
        }
        entries.set(key, value);
        changed(key);
        return undefined;
      }),
    delete: (key) =>
      inTurn(async () => {
        if (!entries.has(key)) return { code: 'KEY_NOT_FOUND' };
        try {
          await unlink(join(folder, key)).catch((error: unknown) => {
            // Somebody was faster; what was asked for holds.
            if (errorCode(error) !== 'ENOENT') throw error;
          });
          await syncPath(folder);
        } catch (error) {
          return writeFailed(error);
        }
        entries.delete(key);
        changed(key);
        return undefined;
      }),
  };
}

function writeFailed(error: unknown): WriteFailed {
  return { code: 'WRITE_FAILED', full: isFull(error), reason: reasonOf(error) };
}

const PRIVATE_MODE = 0o700;

/** Passwords of networks and keys of people are among the values: nobody else on the device reads them here. */
function makePrivate(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: PRIVATE_MODE });
  // A read-only file system refuses also what changes nothing.
  if ((statSync(folder).mode & 0o777) !== PRIVATE_MODE) chmodSync(folder, PRIVATE_MODE);
}

function load(folder: string, log: Logger): { readonly entries: Map<string, string>; readonly unread?: string } {
  const entries = new Map<string, string>();
  let keys: readonly string[];
  try {
    keys = readdirSync(folder).sort();
  } catch (error) {
    // It could not be made, and nothing is missing.
    if (errorCode(error) === 'ENOENT') return { entries };
    log.warn(`no metadata in ${folder} can be read: ${reasonOf(error)}`);
    return { entries, unread: reasonOf(error) };
  }
  for (const key of keys) {
    if (key.startsWith(HALF)) {
      removeHalf(join(folder, key), log);
      continue;
    }
    try {
      const problem = keyProblem(key);
      if (problem !== undefined) throw new Error(`the key is not valid: ${problem}`);
      const value = readValue(join(folder, key));
      const limit = limitReached(entries, key, value);
      if (limit !== undefined) throw new Error(`more than ${limit.limit} ${limit.what}`);
      entries.set(key, value);
    } catch (error) {
      log.warn(`metadata ${join(folder, key)} is left out: ${reasonOf(error)}`);
    }
  }
  return { entries };
}

/** Written by half when the power went. */
function removeHalf(path: string, log: Logger): void {
  try {
    // rmSync of Node 24 has no words for EROFS.
    unlinkSync(path);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return;
    log.warn(`${path}, which was written by half, stays: ${reasonOf(error)}`);
  }
}

function readValue(path: string): string {
  const fd = openSync(path, 'r');
  try {
    const { size } = fstatSync(fd);
    // Not read into memory to find out.
    if (size > MAX_READ_BYTES) throw new Error(`the value is not valid: it has ${size} bytes`);
    const value = utf8.decode(readFileSync(fd));
    const problem = valueProblem(value);
    if (problem !== undefined) throw new Error(`the value is not valid: ${problem}`);
    return value;
  } finally {
    closeSync(fd);
  }
}

const MAX_READ_BYTES = 1024 * 1024;
