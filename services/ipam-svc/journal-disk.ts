// The journal's file operations, and nothing of what they mean: the seam at which tests break disks and kill processes.
//
//   <storage>/ipam/leases.journal           the journal; only whole files ever get this name
//   <storage>/ipam/leases.journal.new       a snapshot being written; of no meaning after a crash
//   <storage>/ipam/leases.journal.damaged   the last damaged journal as it was found, for people
//   <storage>/ipam/leases.journal.later     the journal where that is damaged, see journal-places.ts
import { write, writeSync } from 'node:fs';
import { copyFile, type FileHandle, link, open, unlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { spareName } from '../../shared/kernel/spare-name.ts';
import { errorCode, isDamaged } from '../../shared/kernel/system-error.ts';
import { journalNames, takePlace } from './journal-places.ts';
import { APPENDING, type JournalRead, readJournal } from './journal-read.ts';

export interface Loaded {
  /** One after the other they are the journal; none: there is none. What cannot be read of one is lines of nothing. */
  readonly parts: readonly Buffer[];
  /** The last part is what is appended to; otherwise a new file is to be made first. */
  readonly goesOn: boolean;
  /** Undefined: all that is there was read. */
  readonly unreadable?: Unreadable;
}

export interface Unreadable {
  /** The name of the file. */
  readonly file: string;
  readonly reason: string;
  /** What `parts` have of it: all, some, what came since it cannot be read, or nothing. */
  readonly rest: 'all' | 'some' | 'later' | 'none';
  /** The name of the last file that is there. */
  readonly since: string;
}

/** A bad sector may take seconds, and the service is to be ready in ten: what is not read of damaged files by then counts as lost. */
const PATIENCE_MS = 4000;

export interface JournalDisk {
  /** Opens it for appending, later where the storage is read-only now. */
  load(): Promise<Loaded>;
  /** All of the bytes, at this offset; on the disk, and the file's size with them, when this resolves. */
  append(bytes: Buffer, offset: number): Promise<void>;
  /** Cuts the journal, and syncs. */
  truncate(length: number): Promise<void>;
  /** Writes a new journal beside the one in use, and syncs it. */
  prepare(bytes: Buffer): Promise<void>;
  /** Puts the prepared one in its place: after a crash it is one or the other, whole. When this fails, either may be in use. */
  adopt(): Promise<void>;
  /** Keeps the journal aside. */
  keepDamaged(): Promise<void>;
  close(): Promise<void>;
}

const FILE_MODE = 0o640;

/**
 * Where a disk syncs in 0.15 ms, the way to a pool thread and back takes as long again; so while writes are this quick they are made
 * on the spot. What arrives meanwhile waits in the socket and goes together in the next write, as it would anyway. The first
 * slow one sends those after it to the pool, where a disk that hangs for seconds keeps no heartbeat from being sent.
 */
const QUICK_MS = 2;
/** A longer write takes its time for its length. */
const QUICK_BYTES = 64 * 1024;

/**
 * `folder` exists and is writable. Every method rejects with Node's system errors (ENOSPC, EIO, EACCES, …). Syncs go through
 * FileHandle, because Node's permission model disables fs.fsync and fs.fdatasync.
 */
export function createJournalDisk(folder: string): JournalDisk {
  const names = journalNames(folder);
  const beginning = join(folder, 'leases.journal.new');
  let beside = beginning;
  let inUse = join(folder, 'leases.journal');
  let journal: FileHandle | undefined;
  let isReadOnly = false;
  let isQuick = false;

  const opened = (): FileHandle => {
    if (journal === undefined) throw new Error(`${inUse} is not open`);
    return journal;
  };

  async function reopen(next: FileHandle | undefined): Promise<void> {
    const previous = journal;
    journal = next;
    await previous?.close();
  }

  return {
    async load() {
      const untilMs = performance.now() + PATIENCE_MS;
      const found: Found[] = [];
      for (const name of names) {
        const read = await readJournal(name, untilMs);
        if (read.kind !== 'absent') found.push({ name, read });
      }
      const unreadable = unreadableOf(found);
      const readable = found.flatMap(({ read }) => (read.kind === 'read' ? [read] : []));
      const parts = readable.map(({ bytes }) => bytes);
      const last = found.at(-1);
      const goesOn = readable.length === 1 && last?.read.kind === 'read';
      if (goesOn) {
        inUse = last.name;
        journal = last.read.handle;
        isReadOnly = last.read.isReadOnly;
      } else for (const { handle } of readable) await handle.close();
      return { parts, goesOn, ...(unreadable && { unreadable }) };
    },
    async append(bytes, offset) {
      if (isReadOnly) {
        await reopen(await open(inUse, APPENDING));
        isReadOnly = false;
      }
      const { fd } = opened();
      const startedMs = performance.now();
      try {
        if (isQuick && bytes.length <= QUICK_BYTES) writeAllNow(fd, bytes, offset);
        else await writeAll(fd, bytes, offset);
      } finally {
        isQuick = performance.now() - startedMs < QUICK_MS;
      }
    },
    async truncate(length) {
      await opened().truncate(length);
      await opened().datasync();
    },
    async prepare(bytes) {
      beside = spareName(beginning);
      const next = await open(beside, 'w', FILE_MODE);
      try {
        await writeAll(next.fd, bytes, 0);
        await next.sync();
      } catch (error) {
        // What was written would keep a full disk full.
        await unlink(beside).catch(() => undefined);
        throw error;
      } finally {
        await next.close();
      }
    },
    async adopt() {
      inUse = await takePlace(beside, names);
      await reopen(await open(inUse, APPENDING));
      isReadOnly = false;
      await syncFolder(folder);
    },
    async keepDamaged() {
      for (const each of names) await keepAside(each);
    },
    close: () => reopen(undefined),
  };
}

interface Found {
  readonly name: string;
  readonly read: Exclude<JournalRead, { kind: 'absent' }>;
}

/** The first that is not read, or not whole. */
function unreadableOf(found: readonly Found[]): Unreadable | undefined {
  const wrong = found.flatMap(({ name, read }) => {
    const reason = read.kind === 'unreadable' ? read.reason : read.holes;
    return reason === undefined ? [] : [{ file: basename(name), reason, isGone: read.kind === 'unreadable' }];
  });
  const [first] = wrong;
  const last = found.at(-1);
  if (first === undefined || last === undefined) return undefined;
  const { file, reason } = first;
  const since = basename(last.name);
  const isAllGone = wrong.every(({ isGone }) => isGone);
  if (isAllGone && wrong.length === found.length) return { file, reason, since, rest: 'none' };
  const isSince = wrong.length === found.length - 1 && wrong.every((each) => each.file !== since);
  return { file, reason, since, rest: isAllGone && isSince ? 'later' : 'some' };
}

/** write(2) may take less than it was given, above all when the disk fills up. */
function writeAll(fd: number, bytes: Buffer, offset: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const step = (done: number): void => {
      write(fd, bytes, done, bytes.length - done, offset + done, (error, written) => {
        if (error) reject(error);
        else if (done + written < bytes.length) step(done + written);
        else resolve();
      });
    };
    step(0);
  });
}

export function writeAllNow(fd: number, bytes: Buffer, offset: number): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done, bytes.length - done, offset + done);
}

/** By a second name, which takes no reading and no room. What cannot be looked at stays where it is anyway. */
async function keepAside(path: string): Promise<void> {
  const aside = `${path}.damaged`;
  try {
    await unlink(aside).catch(() => undefined);
    await link(path, aside).catch(() => copyFile(path, aside));
  } catch (error) {
    if (errorCode(error) !== 'ENOENT' && !isDamaged(error)) throw error;
  }
}

/** A renamed file is found after a power cut only when its directory was synced (fsync(2), NOTES). */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
