// What files held when they were last hashed, for the mode in which a start takes that for true of a file that looks the same:
//   <storage>/cache/checksums.json   {"<inode> <bytes> <nanoseconds of its last change>": "<sha256>", …}, used longest ago first
import { statSync } from 'node:fs';
import * as z from 'zod/mini';
import { readIfPresent } from '../../shared/kernel/text-if-there.ts';
import type { Logger } from '../../shared/log/logger.ts';
import { sha256 } from '../../shared/schema/names.ts';
import { writeAtomically } from './atomic-file.ts';
import type { Checksums } from './checksum-pool.ts';
import type { FileChecksum } from './checksum-worker.ts';

export interface KnownChecksums {
  /** Without reading the file, where its inode, size and time of change are known. */
  checksum(path: string): Promise<FileChecksum>;
  /** Hashes it in any case, and knows it from then on. */
  hash(path: string): Promise<FileChecksum>;
  /** Writes down what is new. Never rejects: the next start hashes again what is not there. */
  save(): Promise<void>;
}

/** Of all revisions on a device; some 400 KB. */
const MAX_KNOWN = 4_096;

const document = z.record(z.string(), sha256);

/** A damaged file is told, and counts as empty. */
export function openKnownChecksums(path: string, checksums: Checksums, log: Logger, most = MAX_KNOWN): KnownChecksums {
  let loading: Promise<Map<string, string>> | undefined;
  let hasNew = false;
  let writing: Promise<void> = Promise.resolve();
  const load = async (): Promise<Map<string, string>> => {
    try {
      const text = readIfPresent(path);
      return new Map(text === undefined ? [] : Object.entries(document.parse(JSON.parse(text))));
    } catch (error) {
      log.warn(`${path} is not readable, objects are hashed anew: ${String(error)}`);
      return new Map();
    }
  };
  const known = (): Promise<Map<string, string>> => {
    loading ??= load();
    return loading;
  };
  const remember = async (stamp: string, digest: string): Promise<void> => {
    const all = await known();
    all.delete(stamp);
    all.set(stamp, digest);
    if (all.size <= most) return;
    const oldest = all.keys().next();
    if (!oldest.done) all.delete(oldest.value);
  };
  const hash = async (file: string): Promise<FileChecksum> => {
    const before = stampOf(file);
    const found = await checksums.checksum(file);
    if (found.ok && before !== undefined && before === stampOf(file)) {
      await remember(before, found.sha256);
      hasNew = true;
    }
    return found;
  };
  const write = async (): Promise<void> => {
    if (!hasNew) return;
    hasNew = false;
    try {
      await writeAtomically(path, `${JSON.stringify(Object.fromEntries(await known()))}\n`);
    } catch (error) {
      log.warn(`${path} cannot be written: ${String(error)}`);
    }
  };
  return {
    hash,
    async checksum(file) {
      const stamp = stampOf(file);
      const digest = stamp === undefined ? undefined : (await known()).get(stamp);
      if (stamp === undefined || digest === undefined) return await hash(file);
      await remember(stamp, digest);
      return { ok: true, sha256: digest };
    },
    save() {
      // One after the other: two revisions can be verified at a time.
      writing = writing.then(write);
      return writing;
    },
  };
}

/** Changes with whatever is written to the file by its path or put in its place; undefined when it is not there. */
export function stampOf(path: string): string | undefined {
  try {
    const { ino, size, mtimeNs } = statSync(path, { bigint: true });
    return `${ino} ${size} ${mtimeNs}`;
  } catch {
    return undefined;
  }
}
