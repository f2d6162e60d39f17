// Copies what a container appends to one file into a raw log, over rotation and truncation. Synchronous, in bounded looks.
import { closeSync, constants, fstatSync, ftruncateSync, openSync, readSync, type Stats } from 'node:fs';
import { mountOfPlace } from '../../shared/kernel/open-inside.ts';
import type { ContainerLogFile } from '../../shared/schema/logs.ts';
import { type ContainerRoot, openContainerFile, seeInside, statInside } from './container-file.ts';
import type { RawWriter } from './raw-log.ts';
import { resumeOffset, type TailPlace } from './tail-place.ts';

export interface FileTail {
  /** What lies there now was written before: it is not copied, unless an earlier run's place in it is known. */
  skipPresent(root: ContainerRoot): void;
  /** There is nothing to look at: no file is there, nor was one that is read still. */
  isIdle(root: ContainerRoot): boolean;
  /** True when there may be more to read at once. Throws what the raw log's file system throws. */
  look(root: ContainerRoot): boolean;
  /**
   * The container has ended: reads what is left, within a bound, and lets go of its files. `root` is its root from outside, where mounts of
   * its own are missing.
   */
  finish(root: ContainerRoot): void;
  /** It reads a file in the mount of that number, which is nobody else's as long as it does. */
  isIn(mount: number): boolean;
  close(): void;
}

export interface FileTailOptions {
  readonly file: ContainerLogFile;
  readonly raw: RawWriter;
  /** What `onPlace` was told last, in an earlier life perhaps. */
  readonly place: TailPlace | undefined;
  readonly onPlace: (place: TailPlace) => void;
  /** A file that is older than this, wall clock in milliseconds, and of which no place is known, is followed from its end. */
  readonly newSinceMs: number;
  /** Worth a line in our own log. */
  readonly say: (text: string) => void;
}

const CHUNK_BYTES = 64 * 1024;
/** A look: with the pause between two of them, what a second can bring. */
export const MAX_LOOK_BYTES = 2 * CHUNK_BYTES;
/** Whoever is so far ahead of us is not followed but caught up with: the memory that is lent to it is not worth more. */
export const MAX_BEHIND_BYTES = 4 * 1024 * 1024;
/** First bytes, by which a file that was emptied and has grown again is known. */
const HEAD_BYTES = 128;
/** Of all tails, as there are two for each container: what is read is written before the next read. */
const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
/** Files that wait while an older one is read to its end: more often than that between two looks nobody rotates. */
const MAX_WAITING = 4;
const QUIET_LOOKS = 2;
const MAX_LAST_LOOKS = 32;

interface OpenSource {
  readonly fd: number;
  readonly device: number;
  readonly inode: number;
  readonly mount: number;
  readonly bornMs: number;
  offset: number;
  head: Buffer;
  changedMs: number;
  /** Looks in a row that found nothing new, while a newer file was there. */
  quietLooks: number;
}

export function createFileTail({ file, raw, place: before, onPlace, newSinceMs, say }: FileTailOptions): FileTail {
  const { path, truncateBytes } = file;
  const sources: OpenSource[] = [];
  let place = before;
  let refused = '';

  const tell = ({ inode, bornMs, offset }: Pick<OpenSource, 'inode' | 'bornMs' | 'offset'>): void => {
    place = { source: { inode, bornMs, offset }, raw: raw.state() };
    onPlace(place);
  };
  const note = (source: OpenSource, text: string): void => {
    raw.append(Buffer.from(`\n[${text}]\n`));
    tell(source);
    say(text);
  };
  const isAtPlace = ({ ino, birthtimeMs }: Stats): boolean =>
    place?.source.inode === ino && place.source.bornMs === birthtimeMs;
  const startOf = (stats: Stats): number => {
    if (place !== undefined && isAtPlace(stats)) {
      const offset = resumeOffset(place, raw.state(), raw.older());
      return offset <= stats.size ? offset : 0;
    }
    // Something was followed before: this one came after it. Without birth times, every file is new.
    if (place !== undefined || stats.birthtimeMs === 0 || stats.birthtimeMs >= newSinceMs) return 0;
    return stats.size;
  };
  const refuse = (reason: string): void => {
    if (reason !== '' && reason !== refused) say(`${path} is not followed: ${reason}`);
    refused = reason;
  };
  const open = (root: ContainerRoot, at: string, offsetOf: (stats: Stats) => number): OpenSource | undefined => {
    const opened = openContainerFile(root, at);
    if (opened.kind !== 'file') {
      refuse(opened.kind === 'refused' ? opened.reason : '');
      return undefined;
    }
    refused = '';
    const { fd, stats } = opened;
    try {
      const offset = offsetOf(stats);
      const head = headOf(fd).subarray(0, Math.min(offset, HEAD_BYTES));
      const { dev: device, ino: inode, birthtimeMs: bornMs } = stats;
      return { fd, device, inode, mount: mountOfPlace(fd), bornMs, offset, head, changedMs: 0, quietLooks: 0 };
    } catch (error) {
      // Nobody else knows of it yet.
      closeSync(fd);
      throw error;
    }
  };
  /** Cut short in place, or written anew: from its beginning. */
  const checkStart = (source: OpenSource, stats: Stats): void => {
    const isSame = stats.size >= source.offset && headOf(source.fd).subarray(0, source.head.length).equals(source.head);
    if (isSame) return;
    source.offset = 0;
    source.head = Buffer.alloc(0);
    tell(source);
  };
  const catchUp = (source: OpenSource, size: number): void => {
    const behind = size - source.offset;
    if (behind <= MAX_BEHIND_BYTES) return;
    const skipped = behind - CHUNK_BYTES;
    source.offset += skipped;
    if (source.head.length < HEAD_BYTES) source.head = headOf(source.fd);
    note(
      source,
      `${skipped} bytes of ${path} left out: it grows faster than ${MAX_LOOK_BYTES / 1024} KiB can be read at a time`,
    );
  };
  /** One chunk; answers how much of the source is behind us then. */
  const copy = (source: OpenSource): number => {
    const length = readSync(source.fd, chunk, 0, CHUNK_BYTES, source.offset);
    if (length === 0) return 0;
    const bytes = chunk.subarray(0, length);
    // A writer that does not append goes on where it was in a file that was emptied: the hole before that is no text.
    const hole = source.offset === 0 || source.head.length === 0 ? leadingZeros(bytes) : 0;
    if (hole > 0) {
      source.offset += hole;
      tell(source);
      return hole;
    }
    if (raw.makeRoom(length)) tell(source);
    const written = raw.append(bytes);
    if (source.head.length < HEAD_BYTES) {
      source.head = Buffer.concat([source.head, bytes.subarray(0, Math.min(written, HEAD_BYTES - source.head.length))]);
    }
    source.offset += written;
    return written;
  };
  const copySome = (source: OpenSource, budget: number): number => {
    const stats = fstatSync(source.fd);
    if (stats.size === source.offset && stats.mtimeMs === source.changedMs) return 0;
    checkStart(source, stats);
    catchUp(source, stats.size);
    let total = 0;
    while (total < budget) {
      const copied = copy(source);
      if (copied === 0) break;
      total += copied;
    }
    if (total < budget) {
      source.changedMs = stats.mtimeMs;
      if (truncateBytes !== undefined && source.offset > truncateBytes) empty(source);
    }
    return total;
  };
  const empty = (source: OpenSource): void => {
    try {
      const fd = openSync(`/proc/self/fd/${source.fd}`, constants.O_WRONLY | constants.O_NONBLOCK);
      try {
        // What was written since we read it stays.
        if (fstatSync(fd).size === source.offset) ftruncateSync(fd, 0);
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      if (refused === '') say(`${path} is not emptied at ${truncateBytes} bytes: ${String(error)}`);
      refused = 'not emptied';
    }
  };
  /** Rotated while nobody looked, under the names that rotation gives: its rest comes first. */
  const renamedMeanwhile = (root: ContainerRoot, present: Stats): OpenSource[] => {
    if (place === undefined || isAtPlace(present)) return [];
    for (const at of [`${path}.1`, `${path}.0`]) {
      const stats = statInside(root, at);
      const found = stats !== undefined && isAtPlace(stats) ? open(root, at, startOf) : undefined;
      if (found !== undefined) return [found];
    }
    return [];
  };
  /** The files that appeared at the path meanwhile wait behind the one that is read. */
  const findNewer = (root: ContainerRoot, isOutside: boolean): void => {
    const newest = sources.at(-1);
    const seen = seeInside(root, path);
    if (seen.kind === 'refused') refuse(seen.reason);
    const stats = seen.kind === 'there' ? seen.stats : undefined;
    if (stats === undefined || (newest?.inode === stats.ino && newest.device === stats.dev)) return;
    // What a mount of the container's own hid is not the next file.
    if (isOutside && newest !== undefined && newest.device !== stats.dev) return;
    if (newest === undefined) sources.push(...renamedMeanwhile(root, stats));
    const found = open(root, path, sources.length === 0 ? startOf : () => 0);
    if (found !== undefined) sources.push(found);
    const [first] = sources;
    if (newest === undefined && first !== undefined) tell(first);
  };
  const next = (): void => {
    const done = sources.shift();
    if (done !== undefined) closeSync(done.fd);
    const [source] = sources;
    if (source !== undefined) tell(source);
  };
  const look = (root: ContainerRoot, isOutside: boolean): boolean => {
    findNewer(root, isOutside);
    let budget = MAX_LOOK_BYTES;
    for (let source = sources[0]; source !== undefined; source = sources[0]) {
      const copied = copySome(source, budget);
      budget -= copied;
      if (budget <= 0) return true;
      if (sources.length === 1) return false;
      // Its writer may hold it open for a moment after it was renamed.
      source.quietLooks = copied > 0 ? 0 : source.quietLooks + 1;
      if (source.quietLooks < QUIET_LOOKS && sources.length < MAX_WAITING) return false;
      next();
    }
    return false;
  };
  const closeSources = (): void => {
    for (const { fd } of sources.splice(0)) closeSync(fd);
  };
  return {
    skipPresent(root) {
      const stats = statInside(root, path);
      if (place !== undefined || stats === undefined) return;
      tell({ inode: stats.ino, bornMs: stats.birthtimeMs, offset: stats.size });
    },
    isIdle: (root) => sources.length === 0 && seeInside(root, path).kind === 'missing',
    look: (root) => look(root, false),
    finish(root) {
      for (let looks = 0; looks < MAX_LAST_LOOKS; looks++) {
        if (!look(root, true) && sources.length <= 1) break;
      }
      const [source] = sources;
      if (source !== undefined) tell(source);
      closeSources();
    },
    isIn: (mount) => sources.some((source) => source.mount === mount),
    close() {
      closeSources();
      raw.close();
    },
  };
}

function headOf(fd: number): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  return head.subarray(0, readSync(fd, head, 0, HEAD_BYTES, 0));
}

function leadingZeros(bytes: Buffer): number {
  const first = bytes.findIndex((byte) => byte !== 0);
  return first === -1 ? bytes.length : first;
}
