// What went wrong, of whatever was thrown.

/** The errno name of one of Node's system errors, `''` for any other. A KernelError has its own as `errno`. */
export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/** There is no room for it, or none for this user. */
export function isFull(error: unknown): boolean {
  return errorCode(error) === 'ENOSPC' || errorCode(error) === 'EDQUOT';
}

/** EIO, EBADMSG and EUCLEAN (asm-generic/errno.h); Node has no names for the last two. */
const DAMAGES: ReadonlySet<unknown> = new Set([-5, -74, -117]);

/** The disk does not give what is there, or does not find it whole: the sector, the file's inode, its folder. It answers the same the next time. */
export function isDamaged(error: unknown): boolean {
  return error instanceof Error && 'errno' in error && DAMAGES.has(error.errno);
}

/** For people, without a stack. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
