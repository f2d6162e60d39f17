// Gives back what a part of a file takes, and leaves its length and all other bytes where they are.
import koffi from 'koffi';
import { kernelError } from './libc.ts';

// Offsets of 64 bits on every architecture.
const cFallocate: (fd: number, mode: number, offset: number, length: number) => number = koffi
  .load(null)
  .func('int fallocate64(int fd, int mode, int64_t offset, int64_t length)');

/** linux/falloc.h */
const FALLOC_FL_KEEP_SIZE = 0x01;
const FALLOC_FL_PUNCH_HOLE = 0x02;

/** fallocate(2): reads as zeros from then on; whoever appends notices nothing. Throws KernelError. */
export function punchHole(fd: number, from: number, to: number): void {
  const result = cFallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from, to - from);
  if (result < 0) throw kernelError(koffi.errno(), 'fallocate');
}
