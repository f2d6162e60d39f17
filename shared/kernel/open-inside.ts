// openat2(2): opens a path as a process inside a root would, and never anything outside of it.
import { closeSync, constants, openSync } from 'node:fs';
import koffi from 'koffi';
import { kernelError } from './libc.ts';

/** Of every architecture: it is one of the numbers that all share (asm-generic/unistd.h). */
const SYS_OPENAT2 = 437;
/** asm-generic/fcntl.h, linux/openat2.h */
const O_PATH = 0o10000000;
const O_CLOEXEC = 0o2000000;
const RESOLVE_NO_MAGICLINKS = 0x02;
const RESOLVE_IN_ROOT = 0x10;
/** asm-generic/errno-base.h */
const ENOENT = 2;
const ENOTDIR = 20;

const cSyscall: (number: number, root: number, path: string, how: Uint8Array, size: number) => number = koffi
  .load(null)
  .func('long syscall(long number, int root, const char *path, void *how, size_t size)');

/** struct open_how: flags, mode, resolve. */
const HOW = new BigUint64Array([BigInt(O_PATH | O_CLOEXEC), 0n, BigInt(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)]);
const HOW_BYTES = new Uint8Array(HOW.buffer);

/**
 * The descriptor of a place only (O_PATH): nothing is opened that opening would do something to, a device or a FIFO. Links are followed
 * within `root`, also absolute ones and `..`; those of /proc are not. Undefined: there is nothing. That is no error, as it is what most
 * looks find, and an error costs ten times the call. Throws KernelError.
 */
export function openPlaceInside(rootFd: number, path: string): number | undefined {
  const fd = cSyscall(SYS_OPENAT2, rootFd, path, HOW_BYTES, HOW_BYTES.length);
  if (fd >= 0) return fd;
  const errno = koffi.errno();
  if (errno === ENOENT || errno === ENOTDIR) return undefined;
  throw kernelError(errno, `open ${path}`);
}

/** A root for openPlaceInside; the caller closes it. */
export function openRoot(path: string): number {
  return openSync(path, O_PATH | constants.O_DIRECTORY | O_CLOEXEC);
}

/** Opens what a place is, with other flags; the place is closed, whatever happens. */
export function openFromPlace(placeFd: number, flags: number): number {
  try {
    return openSync(`/proc/self/fd/${placeFd}`, flags);
  } finally {
    closeSync(placeFd);
  }
}
