// mount_setattr(2): changes what a mount forbids, and leaves all else of it as it is.
import koffi from 'koffi';
import { checked } from './libc.ts';

/** Of every architecture: it is one of the numbers that all share (asm-generic/unistd.h). */
const SYS_MOUNT_SETATTR = 442;
/** fcntl.h */
const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
/** linux/mount.h */
export const ATTR_NOSUID = 0x2;
export const ATTR_NODEV = 0x4;
export const ATTR_NOEXEC = 0x8;
/** All bits that say how times of access are kept; relatime is none of them. */
export const ATTR_ATIME = 0x70;
export const ATTR_NOATIME = 0x10;
export const ATTR_STRICTATIME = 0x20;
export const ATTR_NODIRATIME = 0x80;

export interface MountAttributes {
  readonly set: number;
  readonly clear: number;
}

const cSyscall: (number: number, folder: number, path: string, flags: number, how: Uint8Array, size: number) => number =
  koffi
    .load(null)
    .func('long syscall(long number, int folder, const char *path, unsigned int flags, void *how, size_t size)');

/** `target`: where it is mounted. Throws KernelError, ENOSYS before Linux 5.12. */
export function setMountAttributes(target: string, { set, clear }: MountAttributes): void {
  // struct mount_attr: what is set, what is cleared, propagation, a user namespace.
  const how = new Uint8Array(new BigUint64Array([BigInt(set), BigInt(clear), 0n, 0n]).buffer);
  const result = cSyscall(SYS_MOUNT_SETATTR, AT_FDCWD, target, AT_SYMLINK_NOFOLLOW, how, how.length);
  checked(result, `mount_setattr ${target}`);
}
