// Advisory locks on open files.
import koffi from 'koffi';
import { kernelError } from './libc.ts';

const cFlock: (fd: number, operation: number) => number = koffi.load(null).func('int flock(int fd, int operation)');

// sys/file.h, asm-generic/errno-base.h
const LOCK_EX = 2;
const LOCK_NB = 4;
const EAGAIN = 11;

/** flock(2), exclusive: held by every process that inherits the descriptor until the last copy is closed. False when somebody else has it. */
export function tryLock(fd: number): boolean {
  if (cFlock(fd, LOCK_EX | LOCK_NB) === 0) return true;
  if (koffi.errno() === EAGAIN) return false;
  throw kernelError(koffi.errno(), 'flock');
}
