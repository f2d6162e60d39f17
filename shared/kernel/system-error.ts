// What went wrong, of whatever was thrown.

/** What Node has no names for (asm-generic/errno.h): it says "Unknown system error -74", and that twice. */
const NAMELESS: ReadonlyMap<unknown, { readonly code: string; readonly text: string }> = new Map([
  [-74, { code: 'EBADMSG', text: 'damaged on the disk' }],
  [-117, { code: 'EUCLEAN', text: 'damaged on the disk' }],
  [-122, { code: 'EDQUOT', text: 'no room is left for this user' }],
]);

/** The errno name of a system error, `''` for any other. A KernelError has its own as `errno`. */
export function errorCode(error: unknown): string {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return '';
  return ('errno' in error ? NAMELESS.get(error.errno)?.code : undefined) ?? error.code;
}

/** There is no room for it, or none for this user. */
export function isFull(error: unknown): boolean {
  return errorCode(error) === 'ENOSPC' || errorCode(error) === 'EDQUOT';
}

const DAMAGES: ReadonlySet<string> = new Set(['EIO', 'EBADMSG', 'EUCLEAN']);

/** The disk does not give what is there, or does not find it whole: the sector, the file's inode, its folder. It answers the same the next time. */
export function isDamaged(error: unknown): boolean {
  return DAMAGES.has(errorCode(error));
}

/** For people, without a stack. */
export function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/Unknown system error (-\d+): Unknown system error \1/, (unknown, number: string) => {
    const named = NAMELESS.get(Number(number));
    return named === undefined ? unknown : `${named.code}: ${named.text}`;
  });
}

/** For people, why something cannot be written, and what they can do about it where that is known. */
export function whyUnwritten(error: unknown): string {
  const reason = reasonOf(error);
  if (isFull(error)) return `${reason}; make room`;
  if (isDamaged(error)) return `${reason}; check the file system (fsck), and whether the disk wears out`;
  switch (errorCode(error)) {
    case 'EROFS':
      return `${reason}; its file system is read-only, as after an error: check it (fsck), and mount it for writing`;
    case 'EACCES':
    case 'EPERM':
      return `${reason}; restart Berth, which gives its files to the user that writes them`;
    default:
      return reason;
  }
}
