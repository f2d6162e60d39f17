// Opens a file of a container to read it, as the container's own root finds it, and refuses what must not be read.
import { closeSync, constants, fstatSync, type Stats, statfsSync } from 'node:fs';
import { openFromPlace, openPlaceInside } from '../../shared/kernel/open-inside.ts';
import { reasonOf } from '../../shared/kernel/system-error.ts';

export type OpenedFile =
  | { readonly kind: 'file'; readonly fd: number; readonly stats: Stats }
  | { readonly kind: 'missing' }
  | { readonly kind: 'refused'; readonly reason: string };

export type SeenFile =
  | { readonly kind: 'there'; readonly stats: Stats }
  | { readonly kind: 'missing' }
  | { readonly kind: 'refused'; readonly reason: string };

/** Opens what is at a path of a container, the place only (O_PATH). Undefined: there is nothing. Throws where that may not be asked. */
export type ContainerRoot = (path: string) => number | undefined;

/** As the host has it mounted, where no mount of the container's own is, nor anything that never answers. */
export function outsideRoot(rootFd: number): ContainerRoot {
  return (path) => openPlaceInside(rootFd, path);
}

/**
 * statfs(2), and the names in mountinfo: file systems that keep what was written to them, on this machine. Not among them: /proc, /sys and
 * their like, whose files say what the container may not know or do something when they are read, and those that ask a process or another
 * machine, which may never answer.
 */
const PLAIN_FILE_SYSTEMS = new Map([
  [0x01021994, 'tmpfs'],
  [0x858458f6, 'ramfs'],
  [0x794c7630, 'overlay'],
  [0x73717368, 'squashfs'],
  [0xe0f5e1e2, 'erofs'],
  [0xef53, 'ext2 ext3 ext4'],
  [0x58465342, 'xfs'],
  [0x9123683e, 'btrfs'],
  [0xf2f52010, 'f2fs'],
  [0x24051905, 'ubifs'],
  [0x72b6, 'jffs2'],
  [0x4d44, 'vfat'],
  [0x2011bab0, 'exfat'],
  [0x2fc12fc1, 'zfs'],
  [0xca451a4e, 'bcachefs'],
]);
const PLAIN_TYPES = new Set([...PLAIN_FILE_SYSTEMS.values()].flatMap((names) => names.split(' ')));

export function isPlainType(type: string): boolean {
  return PLAIN_TYPES.has(type);
}

export function openContainerFile(root: ContainerRoot, path: string): OpenedFile {
  try {
    const place = root(path);
    if (place === undefined) return { kind: 'missing' };
    const reason = reasonAgainst(place);
    if (reason !== undefined) {
      closeSync(place);
      return { kind: 'refused', reason };
    }
    const fd = openFromPlace(place, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    return { kind: 'file', fd, stats: fstatSync(fd) };
  } catch (error) {
    return refusedBy(error);
  }
}

/** What the path leads to right now. */
export function seeInside(root: ContainerRoot, path: string): SeenFile {
  try {
    const place = root(path);
    if (place === undefined) return { kind: 'missing' };
    try {
      return { kind: 'there', stats: fstatSync(place) };
    } finally {
      closeSync(place);
    }
  } catch (error) {
    return refusedBy(error);
  }
}

/** Undefined: nothing that can be followed. */
export function statInside(root: ContainerRoot, path: string): Stats | undefined {
  const seen = seeInside(root, path);
  return seen.kind === 'there' ? seen.stats : undefined;
}

function refusedBy(error: unknown): { readonly kind: 'refused'; readonly reason: string } {
  return { kind: 'refused', reason: reasonOf(error) };
}

/** What cannot be asked is as good as refused: whoever asks closes it. */
function reasonAgainst(place: number): string | undefined {
  try {
    return refusal(place);
  } catch (error) {
    return refusedBy(error).reason;
  }
}

function refusal(place: number): string | undefined {
  const stats = fstatSync(place);
  if (!stats.isFile()) return `it is ${kindOf(stats)}`;
  const { type } = statfsSync(`/proc/self/fd/${place}`);
  if (!PLAIN_FILE_SYSTEMS.has(type))
    return `it is on a file system of type 0x${type.toString(16)}, which keeps no logs`;
  return undefined;
}

function kindOf(stats: Stats): string {
  if (stats.isDirectory()) return 'a directory';
  if (stats.isFIFO()) return 'a FIFO';
  if (stats.isSocket()) return 'a socket';
  return stats.isBlockDevice() || stats.isCharacterDevice() ? 'a device' : 'no regular file';
}
