// Options that places of a container are to be mounted with, over those of its LXC configuration, in plans and contracts.
import * as z from 'zod/mini';

/** Of each row one holds. Of mount(8): those that a mount can have for itself, whatever its file system is. */
export const OPPOSITES = [
  ['ro', 'rw'],
  ['nosuid', 'suid'],
  ['nodev', 'dev'],
  ['noexec', 'exec'],
  ['noatime', 'atime', 'relatime', 'norelatime', 'strictatime', 'nostrictatime'],
  ['nodiratime', 'diratime'],
] as const;

export const remount = z.strictObject({
  /** It is followed where PV_REMOUNT_POLICY names this one. */
  policy: z.string().check(z.maxLength(64)),
  /** An extended regular expression (regex(7)) of whole paths in the container. */
  place: z.string().check(z.maxLength(256)),
  /** The later ones win. */
  options: z.array(z.enum(OPPOSITES.flat())).check(z.maxLength(16)),
});
export type Remount = z.output<typeof remount>;
export type RemountOption = Remount['options'][number];

/** Of the device, and of one container. */
export const MAX_REMOUNTS = 32;
export const remounts = z.array(remount).check(z.maxLength(2 * MAX_REMOUNTS));
