// How far a file of a container was copied into its raw log. Pure.
import * as z from 'zod/mini';
import type { RawLog } from './raw-log.ts';

/**
 * Written only when one of the two files becomes another, so that it costs nothing while lines flow: what was appended to the raw log since
 * then was read behind `offset`, byte by byte, and its length is on disk without our doing. A kill at any instant repeats and loses nothing.
 */
export const tailPlace = z.strictObject({
  /** Its device's number is another one after each mount; its birth tells it from a later file with the inode. */
  source: z.strictObject({ inode: z.number(), bornMs: z.number(), offset: z.int().check(z.minimum(0)) }),
  raw: z.strictObject({ inode: z.number(), bytes: z.int().check(z.minimum(0)) }),
});
export type TailPlace = z.output<typeof tailPlace>;

/** Where to go on in the source, with the raw log as it lies there now. */
export function resumeOffset({ source, raw }: TailPlace, present: RawLog, older: RawLog | undefined): number {
  if (present.inode === raw.inode) return source.offset + Math.max(0, present.bytes - raw.bytes);
  // Killed between starting a new raw log and saying so.
  if (older?.inode === raw.inode) return source.offset + Math.max(0, older.bytes - raw.bytes) + present.bytes;
  return source.offset;
}
