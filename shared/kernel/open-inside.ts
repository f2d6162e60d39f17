// openat2(2): opens a path as a process inside a root would, and never anything outside of it.
import { closeSync, constants, openSync, readFileSync } from 'node:fs';
import koffi from 'koffi';
import { kernelError } from './libc.ts';

/** Of every architecture: it is one of the numbers that all share (asm-generic/unistd.h). */
const SYS_OPENAT2 = 437;
/** Only a place, not its content (open(2)); Node does not name it. asm-generic/fcntl.h, as below; then linux/openat2.h */
export const O_PATH = 0o10000000;
const O_CLOEXEC = 0o2000000;
const RESOLVE_NO_XDEV = 0x01;
const RESOLVE_NO_MAGICLINKS = 0x02;
const RESOLVE_NO_SYMLINKS = 0x04;
const RESOLVE_IN_ROOT = 0x10;
const RESOLVE_CACHED = 0x20;
/** asm-generic/errno-base.h */
const ENOENT = 2;
const ENOTDIR = 20;
const EINVAL = 22;
/** linux/limits.h */
const PATH_MAX = 4096;

const libc = koffi.load(null);
const cSyscall: (number: number, root: number, path: string, how: Uint8Array, size: number) => number = libc.func(
  'long syscall(long number, int root, const char *path, void *how, size_t size)',
);
const cReadlinkat: (fd: number, path: string, target: Uint8Array, size: number) => number = libc.func(
  'long readlinkat(int fd, const char *path, _Out_ uint8_t *target, size_t size)',
);

/** struct open_how: flags, mode, resolve. */
function howTo(flags: number, resolve: number): Uint8Array {
  return new Uint8Array(new BigUint64Array([BigInt(O_PATH | O_CLOEXEC | flags), 0n, BigInt(resolve)]).buffer);
}

const HOW_ANY = howTo(0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
const WITHIN_MOUNT = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
const HOW_WITHIN_MOUNT = howTo(constants.O_NOFOLLOW, WITHIN_MOUNT);
const HOW_KNOWN = howTo(constants.O_NOFOLLOW, WITHIN_MOUNT | RESOLVE_CACHED);
const HOW_MOUNT = howTo(constants.O_NOFOLLOW, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
const HOW_KNOWN_MOUNT = howTo(constants.O_NOFOLLOW, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_CACHED);

/** The descriptor, or the negative number of the error. */
function openat2(rootFd: number, path: string, how: Uint8Array): number {
  const fd = cSyscall(SYS_OPENAT2, rootFd, path, how, how.length);
  return fd >= 0 ? fd : -koffi.errno();
}

function isNothing(errno: number): boolean {
  return errno === ENOENT || errno === ENOTDIR;
}

/**
 * The descriptor of a place only (O_PATH): nothing is opened that opening would do something to, a device or a FIFO. Links are followed
 * within `root`, also absolute ones and `..`; those of /proc are not. Undefined: there is nothing. That is no error, as it is what most
 * looks find, and an error costs ten times the call. Throws KernelError.
 */
export function openPlaceInside(rootFd: number, path: string): number | undefined {
  return found(openat2(rootFd, path, HOW_ANY), path);
}

/** As openPlaceInside, through no link and into no other mount: both are errors, but for a link that is what the whole path names. */
export function openPlaceInMount(rootFd: number, path: string): number | undefined {
  return found(openat2(rootFd, path, HOW_WITHIN_MOUNT), path);
}

function found(fd: number, path: string): number | undefined {
  if (fd >= 0) return fd;
  if (isNothing(-fd)) return undefined;
  throw kernelError(-fd, `open ${path}`);
}

/**
 * As openPlaceInMount, but asks no file system: what the kernel does not know by itself is `unknown`, and so is what lies behind a link or
 * in another mount. It never waits, whoever may change mounts and links meanwhile. Before Linux 5.12 nothing is known.
 */
export function openKnownPlace(rootFd: number, path: string): number | 'unknown' | undefined {
  const fd = openat2(rootFd, path, HOW_KNOWN);
  if (fd >= 0) return fd;
  return isNothing(-fd) ? undefined : 'unknown';
}

/**
 * As openKnownPlace, in a file system of which the kernel knows everything (tmpfs): undefined is nothing, or nothing that may be reached so.
 * Before Linux 5.12 it may wait where something is mounted at that very moment.
 */
export function openPlaceInMemory(rootFd: number, path: string): number | undefined {
  return knownOr(openat2(rootFd, path, HOW_KNOWN), () => openat2(rootFd, path, HOW_WITHIN_MOUNT));
}

/** The root of the mount that `path` is, other mounts and no links on the way. As for openPlaceInMemory, nobody is asked. */
export function openMountRoot(rootFd: number, path: string): number | undefined {
  return knownOr(openat2(rootFd, path, HOW_KNOWN_MOUNT), () => openat2(rootFd, path, HOW_MOUNT));
}

function knownOr(fd: number, ask: () => number): number | undefined {
  const opened = fd === -EINVAL ? ask() : fd;
  return opened >= 0 ? opened : undefined;
}

/** Where a link leads that is open as a place. Throws KernelError. */
export function readOpenLink(placeFd: number): string {
  const target = new Uint8Array(PATH_MAX);
  const length = cReadlinkat(placeFd, '', target, target.length);
  if (length < 0) throw kernelError(koffi.errno(), 'read a link');
  return Buffer.from(target.subarray(0, length)).toString();
}

/** Of a place: the number of the mount that it is in, nobody else's as long as it is open. No file system is asked. */
export function mountOfPlace(placeFd: number): number {
  return Number(/^mnt_id:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${placeFd}`, 'utf8'))?.[1]);
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
