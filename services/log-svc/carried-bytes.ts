// Files that take what containers write as it is: what a killed process appended comes again, and is not written twice.
//
// A place is saved with the cursors of what was read (cursor-store.ts): up to there the file is what was handed on. Behind it stands what was
// appended afterwards, perhaps only a part of it: SIGKILL ends a write(2) at the end of any page.
import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import * as z from 'zod/mini';

export const writtenPlace = z.strictObject({ inode: z.number(), size: z.int().check(z.minimum(0)) });
export type WrittenPlace = z.output<typeof writtenPlace>;

export interface AppendedFile {
  readonly fd: number;
  readonly inode: number;
  size: number;
  /** What is behind it comes again. Nothing is appended before it is the size. */
  known: number;
}

const NEWLINE = 0x0a;

/** For appending; made where there is none, of `mode`. Where `place` is of another file, what comes begins on a line of its own. */
export function openBytes(path: string, place: WrittenPlace | undefined, mode: number): AppendedFile {
  const fd = openSync(path, 'a+', mode);
  try {
    const { ino: inode, size } = fstatSync(fd);
    const file = { fd, inode, size, known: size };
    if (place?.inode === inode) file.known = Math.min(place.size, size);
    else endLine(file);
    return file;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** How many of the bytes stand behind what is known already. Where others stand there, `bytes` are to be appended, on a line of their own. */
export function passOver(file: AppendedFile, bytes: Buffer): number {
  const length = Math.min(bytes.length, file.size - file.known);
  if (length === 0) return 0;
  const there = Buffer.alloc(length);
  readSync(file.fd, there, 0, length, file.known);
  if (there.equals(bytes.subarray(0, length))) {
    file.known += length;
    return length;
  }
  endLine(file);
  return 0;
}

function endLine(file: AppendedFile): void {
  const last = Buffer.from([NEWLINE]);
  if (file.size > 0) readSync(file.fd, last, 0, 1, file.size - 1);
  if (last[0] !== NEWLINE) file.size += writeSync(file.fd, '\n');
  file.known = file.size;
}
