// Mounting for containers: a squashfs on a loop device, a folder, a tmpfs, the overlay of several layers; and taking away whatever is
// mounted in a place, so that any interruption can be cleaned up.
import { mkdirSync, statSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { KernelError } from '../../shared/kernel/libc.ts';
import type { LoopDevice } from '../../shared/kernel/loop-device.ts';
import { MS_BIND, MS_RDONLY, mount, unmount } from '../../shared/kernel/mount.ts';
import { makingFolders, usingInside } from './inside-path.ts';
import { isTarget, type Mount, mountsBelow, readMountInfo } from './mount-table.ts';

/** `target` is made. Read-only; the loop device that `attach` makes of the file goes with its last user. */
export function mountSquashfs(file: string, target: string, attach: (file: string) => LoopDevice): void {
  mkdirSync(target, { recursive: true });
  const loop = attach(file);
  try {
    mount(loop.path, target, 'squashfs', MS_RDONLY);
  } finally {
    loop.close();
  }
}

/** `target` is made. Not nodev or nosuid: it may become part of a root filesystem. */
export function mountTmpfs(target: string): void {
  mkdirSync(target, { recursive: true });
  mount('berth-boot', target, 'tmpfs', 0, 'mode=0755');
}

/** Both are there, and of the same kind. `more`: flags. */
export function bindMount(source: string, target: string, more = 0): void {
  mount(source, target, 'none', MS_BIND | more);
}

/** Commas and colons separate options and layers in overlayfs (kernel: Documentation/filesystems/overlayfs.rst). */
function escapeLayer(path: string): string {
  return path.replace(/[\\:,]/g, '\\$&');
}

/** mount(2) takes a page of options, with a NUL at its end. */
const MAX_OPTION_BYTES = 4095;

/**
 * `lowers`: the uppermost first. `layer`: the folder of the writable layer, which gets `upper` and `work`. It may be mounted in containers,
 * and a link in place of these would make a folder of the host a container's root.
 */
export function mountOverlay(target: string, lowers: readonly string[], layer: string): void {
  const inLayer = (name: string, use: (folder: string) => void): void =>
    usingInside(layer, name, use, makingFolders(0o755));
  inLayer('upper', (upper) =>
    inLayer('work', (work) => mountLayers({ device: 'berth-root', target, lowers, upper, work, layering: [] })),
  );
}

export interface Layers {
  /** What the mount table calls its source. */
  readonly device: string;
  readonly target: string;
  /** The uppermost first. */
  readonly lowers: readonly string[];
  /** Both or neither. */
  readonly upper: string | undefined;
  readonly work: string | undefined;
  /** More options of overlayfs. */
  readonly layering: readonly string[];
}

/** Files that are equal are one for packers and updates, and so is what is mounted of them. What lies lower shows nothing then, and the kernel refuses it. */
function withoutCopies(lowers: readonly string[]): readonly string[] {
  const seen = new Set<string>();
  return lowers.filter((lower) => {
    const { dev, ino } = statSync(lower, { bigint: true });
    const key = `${dev}:${ino}`;
    return !seen.has(key) && seen.add(key);
  });
}

/** `target` is made. */
export function mountLayers({ device, target, lowers: named, upper, work, layering }: Layers): void {
  mkdirSync(target, { recursive: true });
  const lowers = withoutCopies(named);
  const lowerdir = `lowerdir=${lowers.map(escapeLayer).join(':')}`;
  const writable = upper === undefined ? [] : [`upperdir=${upper}`, `workdir=${work}`];
  const options = [lowerdir, ...writable, ...layering].join(',');
  const size = Buffer.byteLength(options);
  if (size > MAX_OPTION_BYTES) {
    const way = 'make it of fewer volumes, or give the tree a shorter --rundir';
    throw new Error(`${lowers.length} layers take ${size} bytes, the kernel ${MAX_OPTION_BYTES} at most: ${way}`);
  }
  try {
    mount(device, target, 'overlay', 0, options);
  } catch (error) {
    if (!(error instanceof KernelError && error.errno === 'ELOOP')) throw error;
    const way = 'the kernel mounts no such overlay (ELOOP); take folders beside each other';
    throw new Error(`one of its layers lies in another one: ${way}`);
  }
}

/** Milliseconds between tries of a busy mount, and how many there are. */
const BUSY_RETRY_MS = 50;
const BUSY_TRIES = 6;

export interface Unmounted {
  /** Was busy to the end: detached, and gone when its last user is. */
  readonly detached: readonly string[];
  readonly failures: readonly string[];
}

/**
 * Everything that `table` has in these folders, the last first, whatever it is, each in a turn of its own. What is mounted in a folder of a
 * container is found there without links, as the container may have put one in its place meanwhile. Never rejects.
 */
export async function unmountBelow(
  folders: readonly string[],
  table: readonly Mount[],
  turn: () => Promise<void>,
): Promise<Unmounted> {
  const detached: string[] = [];
  const failures: string[] = [];
  const targets = table.flatMap((each) => {
    const folder = folders.find((place) => mountsBelow([each], place).length > 0);
    return folder === undefined ? [] : [{ target: each.target, folder }];
  });
  for (const { target, folder } of targets.reverse()) {
    await turn();
    try {
      if (!(await unmountOrDetach(target, (detach) => unmountInside(folder, target, detach)))) detached.push(target);
    } catch (error) {
      // Where mounts propagate (mount_namespaces(7)), it went with another one of the same place.
      if (isTarget(readMountInfo(), target)) failures.push(String(error));
    }
  }
  return { detached, failures };
}

function unmountInside(folder: string, target: string, detach: boolean): void {
  const inside = relative(folder, target);
  if (inside === '') unmount(target, detach);
  else usingInside(folder, dirname(inside), (parent) => unmount(join(parent, basename(inside)), detach));
}

type Unmounting = (detach: boolean) => void;

/** False: it was busy to the end, and is gone when its last user is. */
export async function unmountOrDetach(
  target: string,
  act: Unmounting = (detach) => unmount(target, detach),
): Promise<boolean> {
  if (await unmountPatiently(act)) return true;
  act(true);
  return false;
}

/** False: busy to the end. */
async function unmountPatiently(act: Unmounting): Promise<boolean> {
  for (let attempt = 1; attempt <= BUSY_TRIES; attempt += 1) {
    try {
      act(false);
      return true;
    } catch (error) {
      if (!(error instanceof KernelError && error.errno === 'EBUSY')) throw error;
      if (attempt < BUSY_TRIES) await delay(BUSY_RETRY_MS);
    }
  }
  return false;
}
