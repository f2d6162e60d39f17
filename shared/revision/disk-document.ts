// What is written of disks, and the lists that they stand in: `disks`, `disks_v2` and `disks_v3` of device.json, or disks.json. Pure.
import * as z from 'zod/mini';
import { diskName } from '../schema/storage.ts';

export const CRYPT_TYPES = ['dm-crypt-versatile', 'dm-crypt-caam', 'dm-crypt-dcp'] as const;
export const DISK_TYPES = ['volume-disk', 'directory', 'swap-disk', ...CRYPT_TYPES] as const;

/** Of one disk. Each is held against the names of all. */
const MAX_ALIASES = 64;

// Strings where the rules below say more than a schema can.
/** In a list where types may be of later versions. */
export const laterDiskDocument = z.object({
  name: z.optional(diskName),
  /** What volumes may call it, too. */
  aliases: z.optional(z.array(z.string().check(z.minLength(1))).check(z.maxLength(MAX_ALIASES))),
  type: z.optional(z.string()),
  path: z.optional(z.string()),
  format: z.optional(z.string()),
  mode: z.optional(z.enum(['mainline', 'nxp'])),
  provision: z.optional(z.string()),
  provision_options: z.optional(z.string()),
  /** The older name of `provision_options`. */
  provision_ops: z.optional(z.string()),
  default: z.optional(z.enum(['yes', 'no'])),
  // Of any type: none of these is read but to warn of it.
  mount_target: z.optional(z.unknown()),
  mount_options: z.optional(z.unknown()),
  mount_ops: z.optional(z.unknown()),
  options: z.optional(z.unknown()),
  format_options: z.optional(z.unknown()),
  format_ops: z.optional(z.unknown()),
});
const diskDocument = z.object({ ...laterDiskDocument.shape, type: z.optional(z.enum(DISK_TYPES)) });
export type DiskDocument = z.output<typeof laterDiskDocument>;

/** All are held against each other and against every container. */
const MAX_DISKS = 256;
export const diskList = z.optional(z.array(diskDocument).check(z.maxLength(MAX_DISKS)));
export const laterDiskList = z.optional(z.array(laterDiskDocument).check(z.maxLength(MAX_DISKS)));

export interface DiskAt {
  readonly document: DiskDocument;
  /** JSON path of the document. */
  readonly path: string;
}

export function disksAt(written: readonly DiskDocument[] | undefined, base: string): readonly DiskAt[] {
  return (written ?? []).map((document, index) => ({ document, path: `${base}.${index}` }));
}

/** Packagers write one disk to several lists, for older versions: what the first of these says of it counts. */
export function withoutRepeated(lists: readonly (readonly DiskAt[])[]) {
  const names = new Set<string | undefined>();
  const [first, repeated]: [DiskAt[], DiskAt[]] = [[], []];
  for (const list of lists) {
    for (const each of list) {
      const { name } = each.document;
      (name !== undefined && names.has(name) ? repeated : first).push(each);
    }
    for (const { document } of list) names.add(document.name);
  }
  return { first, repeated };
}
