// Reads one growing file from a place on, over rotation (renamed, a new one made) and truncation. Synchronous, in bounded turns.
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { errorCode } from '../../shared/kernel/system-error.ts';
import { type FoundFile, HEAD_BYTES, planResume, type TailCursor } from './tail-cursor.ts';

export interface FileFollower {
  /**
   * Hands on at most MAX_TURN_BYTES, each time in a buffer that is reused afterwards; true when there may be more. `onGap`: a file came and went in
   * between that nobody read. `onTaken`: the cursor is behind what was handed on. Throws when the file is there and cannot be read.
   */
  turn(onBytes: (bytes: Buffer) => void, onGap?: () => void, onTaken?: () => void): boolean;
  /** Nobody has written to it, nor tried to, since it was read to its end; false while that is not known. */
  isQuiet(): boolean;
  /**
   * Lets `free` give back what the file has before the cursor, when that is `minBytes` at least. Its first bytes stay: it is known by
   * them. To be called when the cursor is kept for good.
   */
  release(minBytes: number, free: (fd: number, from: number, to: number) => boolean): void;
  /** Before what is being handed on, and behind all that was. Undefined while nothing was ever read. */
  cursor(): TailCursor | undefined;
  close(): void;
}

/** Also what a kill repeats at most: the cursor is kept after each. */
const CHUNK_BYTES = 32 * 1024;
const MAX_TURN_BYTES = 8 * CHUNK_BYTES;

/** A page, of most machines: where they are larger, part of one becomes zeros. */
export const PAGE_BYTES = 4096;
/** What one is read before its memory is given back: what a kill repeats, which nobody can give back sooner. */
export const RELEASE_BYTES = CHUNK_BYTES;

const NOTHING = Buffer.alloc(0);
/** Of all followers, as there are several for each container: what is read is taken before the next read. */
const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);

interface OpenFile {
  readonly fd: number;
  readonly inode: number;
  offset: number;
  head: Buffer;
  /** From the second page on nothing is left up to here. */
  freedTo: number;
  /** When it was written last, as far as everything before that is read; undefined: there may be more. */
  readUpToMs: number | undefined;
}

export function followFile(path: string, from: TailCursor | undefined): FileFollower {
  return new Follower(path, from);
}

/** A class, for what its closures would take: there are four of them for each container. */
class Follower implements FileFollower {
  readonly #path: string;
  /** Undefined: not looked for yet. The one that is read comes first, and behind it what it was renamed for. */
  #queue: readonly OpenFile[] | undefined;
  #last: TailCursor | undefined;

  constructor(path: string, from: TailCursor | undefined) {
    this.#path = path;
    this.#last = from;
  }

  turn(
    onBytes: (bytes: Buffer) => void,
    onGap: () => void = () => undefined,
    onTaken: () => void = () => undefined,
  ): boolean {
    this.#queue ??= resume(this.#path, this.#last, onGap);
    if (this.#isUnchanged(this.#queue)) return false;
    let total = 0;
    while (total < MAX_TURN_BYTES) {
      const [file, next] = this.#queue;
      const length = file === undefined ? 0 : this.#readOne(file, onBytes, onTaken);
      total += length;
      // Less than was asked for is all there is; but of a file that was renamed meanwhile, only nothing is.
      const isAtEnd = length === 0 || (length < CHUNK_BYTES && next === undefined);
      if (isAtEnd && !this.#advance(this.#queue, onGap)) return false;
    }
    return true;
  }

  cursor(): TailCursor | undefined {
    return this.#last;
  }

  isQuiet(): boolean {
    return this.#queue !== undefined && this.#isUnchanged(this.#queue);
  }

  release(minBytes: number, free: (fd: number, from: number, to: number) => boolean): void {
    const [file, next] = this.#queue ?? [];
    if (file === undefined || next !== undefined) return;
    const to = Math.floor(file.offset / PAGE_BYTES) * PAGE_BYTES;
    if (to - file.freedTo >= minBytes && free(file.fd, file.freedTo, to)) file.freedTo = to;
  }

  close(): void {
    for (const { fd } of this.#queue ?? []) closeSync(fd);
    this.#queue = [];
  }

  /** One call instead of four for a file in which nothing happened, as most are most of the time. */
  #isUnchanged([file, next]: readonly OpenFile[]): boolean {
    if (file?.readUpToMs === undefined || next !== undefined) return false;
    const now = statSync(this.#path, { throwIfNoEntry: false });
    return now?.ino === file.inode && now.size === file.offset && now.mtimeMs === file.readUpToMs;
  }

  #readOne(file: OpenFile, onBytes: (bytes: Buffer) => void, onTaken: () => void): number {
    const here = found(file.fd);
    file.readUpToMs = undefined;
    if (!hasAllOf(here, file)) restart(file);
    const length = readSync(file.fd, chunk, 0, CHUNK_BYTES, file.offset);
    // Times are counted in ticks: what is written within this one would look the same.
    if (file.offset + length === here.size && Date.now() - here.mtimeMs > CLOCK_MS) file.readUpToMs = here.mtimeMs;
    if (length === 0) return 0;
    // Whoever saves cursors before the first of it is laid down saves that nothing of it is.
    if (this.#last?.inode !== file.inode) this.#last = cursorOf(file, here);
    onBytes(chunk.subarray(0, length));
    if (file.head.length < HEAD_BYTES) {
      file.head = headWith(file.head, chunk.subarray(0, Math.min(length, HEAD_BYTES - file.head.length)));
    }
    file.offset += length;
    this.#last = cursorOf(file, here);
    onTaken();
    return length;
  }

  /** To the next file to read when the first of the queue is at its end; false when there is none. */
  #advance(files: readonly OpenFile[], onGap: () => void): boolean {
    const [file, ...others] = files;
    if (others.length > 0) {
      this.#queue = others;
      if (file !== undefined) closeSync(file.fd);
      return true;
    }
    // Also of a file that is not there, as most are not that a container might have.
    if (file?.inode === inodeOf(this.#path)) return false;
    const [next, skipped] = allOrNone((open) => {
      const current = open(this.#path);
      // Rotated twice since we looked: there is a whole file in between.
      const older = `${this.#path}.1`;
      const mayBeUnread = current !== undefined && file !== undefined && inodeOf(older) !== file.inode;
      return [current, mayBeUnread ? open(older) : undefined];
    });
    if (next === undefined) return false;
    // What was written between our last read and the rename is in the old one: it stays first in the queue.
    this.#queue = [...files, ...(skipped === undefined ? [next] : [skipped, next])];
    if (file !== undefined && skipped !== undefined && !follows(skipped.fd, file.fd)) onGap();
    return true;
  }
}

/** Coarse clock of file times (CONFIG_HZ 100), milliseconds. */
const CLOCK_MS = 10;

/**
 * Whether the one file came right after the other. When a file is replaced as `.1`, it loses its name and its change time says when: the next one
 * was made long before that if it was the one that replaced it, and at that moment if there was another in between.
 */
function follows(nextFd: number, fd: number): boolean {
  const { birthtimeMs } = fstatSync(nextFd);
  const { ctimeMs, nlink } = fstatSync(fd);
  return nlink > 0 || birthtimeMs === 0 || birthtimeMs < ctimeMs - CLOCK_MS;
}

function resume(path: string, cursor: TailCursor | undefined, onGap: () => void): OpenFile[] {
  const { plan, current, previous } = allOrNone((open) => {
    const current = open(path);
    const previous = cursor === undefined ? undefined : open(`${path}.1`);
    const plan = planResume(cursor, current && found(current.fd), previous && found(previous.fd));
    if (previous !== undefined) goTo(previous, plan.previousFrom ?? 0);
    if (current !== undefined) goTo(current, plan.currentFrom === 0 ? behindHole(current.fd) : plan.currentFrom);
    if (plan.mayMiss) onGap();
    return { plan, current, previous };
  });
  if (previous !== undefined && plan.previousFrom === undefined) closeSync(previous.fd);
  const unread = plan.previousFrom === undefined ? [current] : [previous, current];
  return unread.filter((file) => file !== undefined);
}

/** A turn that fails is tried again, for as long as that lasts: what `work` has opened is closed when it throws. */
function allOrNone<T>(work: (open: typeof tryOpen) => T): T {
  const opened: OpenFile[] = [];
  try {
    return work((path) => {
      const file = tryOpen(path);
      if (file !== undefined) opened.push(file);
      return file;
    });
  } catch (error) {
    for (const { fd } of opened) closeSync(fd);
    throw error;
  }
}

/** Where nobody knows how far it was read: what was given back is zeros, and was read; as was what is before it. */
function behindHole(fd: number): number {
  const { size, blocks } = fstatSync(fd);
  // Counted in units of 512 bytes (stat(2)). Its first page stands before the hole, so this is a little within it.
  let offset = size - blocks * 512;
  if (offset < RELEASE_BYTES) return 0;
  const page = Buffer.alloc(PAGE_BYTES);
  while (offset < size) {
    const length = readSync(fd, page, 0, PAGE_BYTES, offset);
    const data = page.subarray(0, length).findIndex((byte) => byte !== 0);
    if (data >= 0) return offset + data;
    if (length === 0) return offset;
    offset += length;
  }
  return size;
}

function goTo(file: OpenFile, offset: number): void {
  file.offset = offset;
  file.head = headOf(file.fd).subarray(0, offset);
}

/** What was read of it is there still: nobody cut it short and began anew. */
function hasAllOf(here: FoundFile, { offset, head }: OpenFile): boolean {
  return here.size >= offset && here.head.subarray(0, head.length).equals(head);
}

function restart(file: OpenFile): void {
  file.offset = 0;
  file.head = NOTHING;
}

function inodeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.ino;
}

/** At its beginning. */
function tryOpen(path: string): OpenFile | undefined {
  try {
    const fd = openSync(path, 'r');
    return { fd, inode: fstatSync(fd).ino, offset: 0, head: NOTHING, freedTo: PAGE_BYTES, readUpToMs: undefined };
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function headOf(fd: number): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  return head.subarray(0, readSync(fd, head, 0, HEAD_BYTES, 0));
}

/** In memory of its own: Buffer.concat would cut it from 8 KiB, and each head might keep all of them. */
function headWith(head: Buffer, more: Buffer): Buffer {
  const whole = Buffer.alloc(head.length + more.length);
  whole.set(head);
  whole.set(more, head.length);
  return whole;
}

function found(fd: number): FoundFile & { readonly mtimeMs: number } {
  const { ino, size, mtimeMs, birthtimeMs, ctimeMs } = fstatSync(fd);
  // Where the kernel does not tell it, it is 0, or that of the last change.
  const bornMs = birthtimeMs > 0 && birthtimeMs < ctimeMs ? birthtimeMs : undefined;
  return { inode: ino, size, head: size === 0 ? NOTHING : headOf(fd), mtimeMs, bornMs };
}

function cursorOf({ inode, offset, head }: OpenFile, { bornMs }: FoundFile): TailCursor {
  return { inode, offset, head: head.toString('base64'), ...(bornMs === undefined ? {} : { bornMs }) };
}
