// What went wrong, of whatever was thrown.

/** The errno name of one of Node's system errors, `''` for any other. A KernelError has its own as `errno`. */
export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/** There is no room for it, or none for this user. */
export function isFull(error: unknown): boolean {
  return errorCode(error) === 'ENOSPC' || errorCode(error) === 'EDQUOT';
}

/** Of a disk (asm-generic/errno.h). Node has no names for them, and says "Unknown system error -74" twice. */
const NAMELESS: ReadonlyMap<string, string> = new Map([
  ['-74', 'EBADMSG'],
  ['-117', 'EUCLEAN'],
]);
const EIO = -5;
const DAMAGES: ReadonlySet<unknown> = new Set([EIO, ...[...NAMELESS.keys()].map(Number)]);

/** The disk does not give what is there, or does not find it whole: the sector, the file's inode, its folder. It answers the same the next time. */
export function isDamaged(error: unknown): boolean {
  return error instanceof Error && 'errno' in error && DAMAGES.has(error.errno);
}

/** For people, without a stack. */
export function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/Unknown system error (-\d+): Unknown system error \1/, (unknown, number: string) => {
    const name = NAMELESS.get(number);
    return name === undefined ? unknown : `${name}: damaged on the disk`;
  });
}
