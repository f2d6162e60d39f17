// mount(2) and umount2(2), bound once; each throws a KernelError that names the call and the errno.
import koffi from 'koffi';
import { checked } from './libc.ts';

const libc = koffi.load(null);
const cMount: (source: string, target: string, type: string, flags: number, options: string | null) => number =
  libc.func(
    'int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *options)',
  );
const cSyscall: (number: number, folder: number, path: string, flags: number) => number = libc.func(
  'long syscall(long number, int folder, const char *path, unsigned int flags)',
);
const cUmount2: (target: string, flags: number) => number = libc.func('int umount2(const char *target, int flags)');

/** linux/mount.h */
export const MS_RDONLY = 1;
export const MS_NOSUID = 2;
export const MS_NODEV = 4;
export const MS_REMOUNT = 32;
export const MS_BIND = 4096;
export const MS_REC = 16384;
export const MS_PRIVATE = 1 << 18;
export const MS_SLAVE = 1 << 19;
/** linux/fs.h */
const MNT_DETACH = 2;
const UMOUNT_NOFOLLOW = 8;
/** Of every architecture: it is one of the numbers that all share (asm-generic/unistd.h). */
const SYS_OPEN_TREE = 428;
/** fcntl.h, linux/mount.h */
const AT_FDCWD = -100;
const OPEN_TREE_CLONE = 1;
const OPEN_TREE_CLOEXEC = 0o2000000;

/** `options`: what only the file system understands, comma separated. */
export function mount(source: string, target: string, type: string, flags: number, options?: string): void {
  checked(cMount(source, target, type, flags, options ?? null), `mount ${type} on ${target}`);
}

/** `target`: no link. `detach`: at once even when busy; the file system itself ends with its last user. */
export function unmount(target: string, detach = false): void {
  checked(cUmount2(target, (detach ? MNT_DETACH : 0) | UMOUNT_NOFOLLOW), `umount ${target}`);
}

/**
 * A descriptor of the file system that is mounted on `target`, which lives with it: what is mounted there can be unmounted all the same, and
 * the descriptor is in no table of mounts. Throws KernelError, ENOSYS before Linux 5.2.
 */
export function holdMounted(target: string): number {
  const flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
  return checked(cSyscall(SYS_OPEN_TREE, AT_FDCWD, target, flags), `open_tree ${target}`);
}
