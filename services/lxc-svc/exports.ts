// What a container shows to others: each path of `exports` in its run.json is bound to <exports>/<container>/<path>, which the LXC
// configurations of others call /exports/<container>/<path>.
import { lstatSync, mkdirSync, readdirSync, rmdirSync, statSync, unlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { errorCode, reasonOf } from '../../shared/kernel/system-error.ts';
import { LinkFound, makingFolders, makingMountPoint, usingInside, usingResolved } from './inside-path.ts';
import { type Mount, mountsBelow } from './mount-table.ts';
import { bindMount } from './root-mounts.ts';

/** What LXC will mount into the container: what is exported at or below `target` is found there. */
export type BoundFolder = BoundVolume | BoundOverlay;

interface BoundVolume {
  readonly kind: 'volume';
  /** Inside the container, relative. */
  readonly target: string;
  /** Of the volume, and what in it, which is the volume itself where it is empty. */
  readonly root: string;
  readonly inside: string;
  /** Whether folders that are missing are made, as they are at the start, when LXC mounts it (mount-sources.ts). */
  readonly isMade: boolean;
}

/** Of volumes, which is mounted when the container starts, when its exports have been bound. */
interface BoundOverlay {
  readonly kind: 'overlay';
  readonly target: string;
}

class NotYetThere extends Error {}

/**
 * Answers why a path could not be exported, in words; throws what the system says. Its parents come first, whatever the order: what is
 * exported below one has its mount point in a folder of the container, which may have left a link there.
 */
export function mountExports(
  { rootfs, exports: place }: { readonly rootfs: string; readonly exports: string },
  paths: readonly string[],
  bound: readonly BoundFolder[],
): readonly string[] {
  return [...paths].sort().flatMap((path) => {
    try {
      usingSource(path, rootfs, bound, (source) => {
        mkdirSync(place, { recursive: true });
        const before = makingMountPoint(statSync(source).isDirectory());
        usingInside(place, path, (target) => bindMount(source, target), before);
      });
      return [];
    } catch (error) {
      if (error instanceof LinkFound || error instanceof NotYetThere)
        return [`/${path} is not exported: ${error.message}`];
      // Read-only: a folder of an image can be made no more than it is there.
      if (['ENOENT', 'ENOTDIR', 'EROFS'].includes(errorCode(error))) {
        return [`/${path} is not exported: it has no such file or folder when it is mounted`];
      }
      throw new Error(`/${path}: ${reasonOf(error)}`);
    }
  });
}

/** In a volume where LXC mounts one there, otherwise in the root filesystem. */
function usingSource(path: string, rootfs: string, bound: readonly BoundFolder[], use: (source: string) => void): void {
  const over = bound.filter(({ target }) => path === target || path.startsWith(`${target}/`));
  const [nearest] = over.sort((a, b) => b.target.length - a.target.length);
  if (nearest === undefined) {
    usingResolved(rootfs, path, use);
    return;
  }
  const below = path.slice(nearest.target.length);
  if (nearest.kind === 'overlay') throw new NotYetThere(`an overlay is mounted on /${nearest.target} when it starts`);
  const { root, inside, isMade } = nearest;
  // What is bound may be a file, which has nothing below it.
  const useBelow = (bound: string): void => (below === '' ? use(bound) : usingResolved(bound, below, use));
  usingResolved(root, inside, useBelow, isMade ? makingFolders(0o755) : undefined);
}

/**
 * Mount points in `folder`, and it: empty folders and empty files go, anything else stays. Nothing at all is touched while something is
 * mounted there, as `table` has it. Never throws.
 */
export function removeMountPoints(folder: string, table: readonly Mount[]): void {
  if (mountsBelow(table, folder).length > 0) return;
  try {
    removeEmpty(dirname(folder), basename(folder));
  } catch {
    // Not there, or somebody put something there.
  }
}

/** A folder that no volume is mounted on may be another container's, which runs: what it makes a link meanwhile is not entered. */
function removeEmpty(parent: string, name: string): void {
  const path = join(parent, name);
  const stats = lstatSync(path);
  if (!stats.isDirectory()) {
    if (stats.isFile() && stats.size === 0) unlinkSync(path);
    return;
  }
  usingInside(parent, name, (folder) => {
    for (const each of readdirSync(folder)) removeEmpty(folder, each);
  });
  rmdirSync(path);
}
