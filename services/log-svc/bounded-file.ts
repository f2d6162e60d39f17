// One output file: appended to, rotated at a size, and never a reason to fail. What cannot be written is dropped and counted.
import { closeSync, mkdirSync, readdirSync, renameSync, writeSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { whyUnwritten } from '../../shared/kernel/system-error.ts';
import { type AppendedFile, openBytes, passOver, type WrittenPlace } from './carried-bytes.ts';
import { openLines } from './line-files.ts';
import { parseRotatedName, rotatedName } from './rotated-name.ts';

/** Between two attempts at a file that could not be written. */
const RETRY_MS = 1_000;
const NEWLINE = 0x0a;
/** Root and the service; logs can hold what is nobody else's business. */
const FILE_MODE = 0o640;

export interface Loss {
  readonly reason: string;
  readonly lines: number;
  readonly bytes: number;
}

export interface BoundedFile {
  readonly path: string;
  /** Called with whole lines wherever the source has lines, so that files of several writers do not mix within one. */
  append(bytes: Buffer): void;
  /** Since when it could last be written; undefined when all is well. */
  loss(): Loss | undefined;
  /** Up to where it is what was appended; undefined: it holds lines, or nobody knows yet. */
  place(): WrittenPlace | undefined;
  /** The next append is tried, whenever the last one failed: another file could be written again. */
  retryNow(): void;
  /** The next append opens it anew: somebody may have moved or removed it. */
  release(): void;
  /** What is in it becomes a rotated file now, whatever its size. Throws what the file system throws. */
  rotate(): void;
}

export interface FileListener {
  onLoss(path: string, reason: string): void;
  /** It can be written again, and this is missing. */
  onRecovered(path: string, loss: Loss): void;
  onRotated(path: string): void;
  /** Another file than that of the place before will be appended to: `place` answers from where on. */
  onBegin(): void;
}

/** `lines`: append is called with nothing else. `bytes`: anything, and `place` is what `place` answered in an earlier life, if it did. */
export type FileContent =
  | { readonly kind: 'lines' }
  | { readonly kind: 'bytes'; readonly place: WrittenPlace | undefined };

/** `maxBytes`: a file that would grow beyond it is rotated. `nowMs` is a monotonic clock. */
export function createBoundedFile(
  path: string,
  content: FileContent,
  maxBytes: () => number,
  nowMs: () => number,
  listener: FileListener,
): BoundedFile {
  const ofLines = content.kind === 'lines';
  let file: AppendedFile | undefined;
  let place = content.kind === 'bytes' ? content.place : undefined;
  let loss: Loss | undefined;
  let retryAtMs = 0;

  const release = (): void => {
    if (file === undefined) return;
    place = { inode: file.inode, size: file.known };
    closeSync(file.fd);
    file = undefined;
  };
  const open = (): AppendedFile => {
    mkdirSync(dirname(path), { recursive: true });
    if (ofLines) return openLines(path, true, FILE_MODE);
    const opened = openBytes(path, place, FILE_MODE);
    if (place?.inode !== opened.inode) {
      place = { inode: opened.inode, size: opened.size };
      listener.onBegin();
    }
    return opened;
  };
  const rotate = (): void => {
    release();
    // Nobody mends a rotated one.
    if (ofLines) closeSync(openLines(path, false, FILE_MODE).fd);
    const rotated = rotatedName(path, nextNumber(path));
    renameSync(path, rotated);
    place = undefined;
    listener.onRotated(rotated);
  };
  const makeRoom = (bytes: number): AppendedFile => {
    file ??= open();
    if (bytes === 0 || file.size === 0 || file.size + bytes <= maxBytes()) return file;
    rotate();
    file = open();
    return file;
  };
  const drop = (bytes: Buffer, reason: string): void => {
    const first = loss === undefined;
    loss = { reason, lines: (loss?.lines ?? 0) + countLines(bytes), bytes: (loss?.bytes ?? 0) + bytes.length };
    retryAtMs = nowMs() + RETRY_MS;
    release();
    if (first) listener.onLoss(path, reason);
  };
  /** How many bytes were written before it failed, if it did; of lines, whole ones. */
  const write = (bytes: Buffer): { readonly written: number; readonly reason: string } => {
    let written = 0;
    try {
      file ??= open();
      written = passOver(file, bytes);
      const target = makeRoom(bytes.length - written);
      while (written < bytes.length) {
        const length = writeSync(target.fd, bytes, written);
        written += length;
        target.size += length;
        target.known = target.size;
      }
      return { written, reason: '' };
    } catch (error) {
      if (ofLines) written = bytes.subarray(0, written).lastIndexOf(NEWLINE) + 1;
      return { written, reason: whyUnwritten(error) };
    }
  };
  return {
    path,
    append(bytes) {
      if (loss !== undefined && nowMs() < retryAtMs) {
        loss = { ...loss, lines: loss.lines + countLines(bytes), bytes: loss.bytes + bytes.length };
        return;
      }
      const { written, reason } = write(bytes);
      if (written < bytes.length) {
        drop(bytes.subarray(written), reason);
      } else if (loss !== undefined) {
        const past = loss;
        loss = undefined;
        listener.onRecovered(path, past);
      }
    },
    loss: () => loss,
    place() {
      if (ofLines) return undefined;
      return file === undefined ? place : { inode: file.inode, size: file.known };
    },
    retryNow() {
      retryAtMs = 0;
    },
    release,
    rotate,
  };
}

/** One more than the highest there is: while one of them is left, no number is given twice. */
export function nextNumber(path: string): number {
  const base = basename(path);
  const highest = readdirSync(dirname(path)).reduce((most, name) => {
    const rotated = parseRotatedName(name);
    return rotated?.base === base ? Math.max(most, rotated.number) : most;
  }, 0);
  return highest + 1;
}

function countLines(bytes: Buffer): number {
  let lines = 0;
  for (let at = bytes.indexOf(NEWLINE); at !== -1; at = bytes.indexOf(NEWLINE, at + 1)) lines += 1;
  return lines;
}
