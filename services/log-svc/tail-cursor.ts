// How far a file was followed, and where to go on in what lies there now. Pure.
import * as z from 'zod/mini';

/** First bytes of a file that are remembered, to tell it from a later one with the same inode number. */
export const HEAD_BYTES = 128;

export const tailCursor = z.strictObject({
  inode: z.number(),
  offset: z.int().check(z.minimum(0)),
  /** The first min(HEAD_BYTES, offset) bytes, base64. */
  head: z.string(),
  /** When it was made, by its file system; missing where that does not say. Numbers of inodes begin anew with every tmpfs. */
  bornMs: z.optional(z.number()),
});
export type TailCursor = z.output<typeof tailCursor>;

/** A file as it lies there. `head`: its first bytes, up to HEAD_BYTES. */
export interface FoundFile {
  readonly inode: number;
  readonly size: number;
  readonly bornMs?: number | undefined;
  readonly head: Buffer;
}

/** The same file, and it still has everything that was read from it. */
export function continues(file: FoundFile, { inode, offset, head, bornMs }: TailCursor): boolean {
  const known = Buffer.from(head, 'base64');
  if (bornMs !== undefined && file.bornMs !== undefined && file.bornMs !== bornMs) return false;
  return file.inode === inode && file.size >= offset && file.head.subarray(0, known.length).equals(known);
}

/**
 * What to read, in order: `previous` is the generation that LXC renamed to `.1`, of which there is only one.
 * Without a cursor the previous one is left alone: it belongs to a time before ours. `mayMiss`: neither is the file of the cursor, so there may
 * have been others that nobody read.
 */
export function planResume(
  cursor: TailCursor | undefined,
  current: FoundFile | undefined,
  previous: FoundFile | undefined,
): { readonly previousFrom: number | undefined; readonly currentFrom: number; readonly mayMiss: boolean } {
  if (cursor === undefined) return { previousFrom: undefined, currentFrom: 0, mayMiss: false };
  if (current !== undefined && continues(current, cursor)) {
    return { previousFrom: undefined, currentFrom: cursor.offset, mayMiss: false };
  }
  if (previous === undefined) return { previousFrom: undefined, currentFrom: 0, mayMiss: false };
  if (continues(previous, cursor)) return { previousFrom: cursor.offset, currentFrom: 0, mayMiss: false };
  // Rotated more than once: all of the previous one is new. (Or cut short in place, and it is not: better twice than never.)
  return { previousFrom: 0, currentFrom: 0, mayMiss: true };
}
