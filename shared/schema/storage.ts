// The vocabulary of container storage in the contracts: volumes, where they live, and the disks under them.
import * as z from 'zod/mini';
import { CONTROL } from './control-characters.ts';
import { containerName } from './names.ts';

export const persistence = z.enum(['permanent', 'revision', 'boot']);

/** One path component: a volume is a folder. NAME_MAX of linux/limits.h is 255. */
export const volumeName = z
  .string()
  .check(
    z.regex(
      /^(?!\.{1,2}$)[\x20-\x2e\x30-\x7e]{1,255}$/,
      'a name of 1–255 printable ASCII characters without "/", and neither "." nor ".."',
    ),
  );

/** Part of paths and of device-mapper names. */
export const diskName = z
  .string()
  .check(z.regex(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,62}$/, '1–63 of A-Z a-z 0-9 . _ -, not starting with "." or "-"'));

/** A file of the container's folder in the revision. */
export const artifactName = z
  .string()
  .check(z.regex(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,254}$/, 'a file name without "/", not starting with "." or "-"'));

/** A read-only volume of another container, below those of an extension of it. */
export const baseVolume = z.strictObject({ container: containerName, file: artifactName });
export type BaseVolume = z.output<typeof baseVolume>;

/** Relative to the container's root. */
export const insidePath = z
  .string()
  .check(
    z.regex(
      new RegExp(String.raw`^(?!\.{1,2}(?:/|$))(?!.*/\.{0,2}(?:/|$))[^/${CONTROL}][^${CONTROL}]*$`, 'u'),
      'a path inside the container, without empty, "." or ".." parts',
    ),
    z.maxLength(1024, 'at most 1024 characters'),
  );

/** Absolute and normalised. What is below /storage is in the storage folder, wherever that is. */
export const devicePath = z
  .string()
  .check(
    z.regex(
      new RegExp(String.raw`^(?!.*/\.{0,2}(?:/|$))/[^${CONTROL}]+$`, 'u'),
      'an absolute path without empty, "." or ".." parts',
    ),
  );

export const namedVolume = z.strictObject({
  name: volumeName,
  persistence,
  /** Absent: the storage folder itself. A volume for the boot is on no disk. */
  disk: z.optional(diskName),
});
export type NamedVolume = z.output<typeof namedVolume>;

const mebibytes = z.int().check(z.minimum(1), z.maximum(16 * 1024 * 1024));
const fileSystem = z.enum(['ext4', 'ext3']);
/** Attributes of /sys/block/zram<N> in the order in which they are written (kernel: Documentation/admin-guide/blockdev/zram.rst). */
const zramSettings = z.array(z.tuple([z.string().check(z.regex(/^[a-z_]{1,32}$/)), z.string()]));

/** What a disk is made of. */
export const backing = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('device'), path: devicePath }),
  z.strictObject({ kind: z.literal('file'), path: devicePath, mebibytes }),
  z.strictObject({ kind: z.literal('zram'), settings: zramSettings }),
]);
export type Backing = z.output<typeof backing>;

export const disk = z.discriminatedUnion('kind', [
  /** A folder; without a path one of Berth's own. */
  z.strictObject({ kind: z.literal('folder'), name: diskName, path: z.optional(devicePath) }),
  z.strictObject({ kind: z.literal('fileSystem'), name: diskName, backing, format: fileSystem }),
  z.strictObject({ kind: z.literal('swap'), name: diskName, backing }),
  z.strictObject({
    kind: z.literal('crypt'),
    name: diskName,
    /** Where its key comes from. */
    keySource: z.enum(['file', 'caam-trusted', 'caam-tagged', 'dcp-trusted']),
    image: devicePath,
    mebibytes,
    /** The key's files are beside the image, and begin with this. */
    key: artifactName,
  }),
]);
export type Disk = z.output<typeof disk>;
