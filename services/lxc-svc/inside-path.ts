// Paths inside folders that containers write: as their own processes see them, links are followed within the root, never out of it; and
// what is opened or made there as root follows none.
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readlinkSync,
  type Stats,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { O_PATH } from '../../shared/kernel/open-inside.ts';

/** As the kernel's (path_resolution(7)). */
export const MAX_LINKS = 40;

export interface Found {
  readonly path: string;
  readonly stats: Stats;
}

/** `layers`: the uppermost first. What the uppermost layer that has it holds at `inside`, itself not followed. */
export function findInside(layers: readonly string[], inside: string): Found | undefined {
  for (const layer of layers) {
    const path = join(layer, inside);
    const stats = lstatSync(path, { throwIfNoEntry: false });
    if (stats !== undefined) return { path, stats };
  }
  return undefined;
}

/**
 * Where `inside` leads, relative to the root and without links; parts that do not exist stay as they are. What a link names by its path on
 * the host is in the root where that is. Throws on too many links.
 */
export function resolveInside(layers: readonly string[], inside: string): string {
  const left = partsOf(inside);
  let resolved: string[] = [];
  for (let links = 0; left.length > 0; ) {
    const part = left.shift() ?? '';
    if (part === '..') {
      resolved.pop();
      continue;
    }
    const here = [...resolved, part].join('/');
    const found = findInside(layers, here);
    if (found?.stats.isSymbolicLink() !== true) {
      resolved.push(part);
      continue;
    }
    links += 1;
    if (links > MAX_LINKS) throw new Error(`${inside} leads through more than ${MAX_LINKS} symbolic links`);
    const target = readlinkSync(found.path);
    if (target.startsWith('/')) resolved = [];
    const named = layers.find((layer) => `${target}/`.startsWith(`${layer}/`)) ?? '';
    left.unshift(...partsOf(target.slice(named.length)));
  }
  return resolved.join('/');
}

export function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}

/** A link, where none may be. */
export class LinkFound extends Error {
  readonly code = 'ELOOP';
}

/** Is given a path to a part before that is opened; `isLast`: it is what the whole path names. */
export type BeforeOpening = (path: string, isLast: boolean) => void;

/** Makes the folders that are not there. */
export function makingFolders(mode: number): BeforeOpening {
  return (path) => {
    // As most are there; mkdir(2) itself follows no link.
    if (lstatSync(path, { throwIfNoEntry: false }) === undefined) mkdirSync(path, { mode });
  };
}

/** Makes what is not there: folders, and in the end an empty file unless `isFolder`. */
export function makingMountPoint(isFolder: boolean): BeforeOpening {
  const makeFolder = makingFolders(0o755);
  return (path, isLast) => {
    if (isFolder || !isLast) makeFolder(path, isLast);
    else if (lstatSync(path, { throwIfNoEntry: false }) === undefined) writeFileSync(path, '', { flag: 'wx' });
  };
}

/** As `usingInside`, of what `inside` leads to within `root`. */
export function usingResolved<T>(root: string, inside: string, use: (path: string) => T, before?: BeforeOpening): T {
  return usingInside(root, resolveInside([root], inside), use, before);
}

/**
 * Opens `inside`, which has no `..`, part by part, none of them a link, so that nobody who writes there meanwhile can lead out of `root`;
 * calls `use` with a path to it that cannot change. Throws LinkFound, and what the system says.
 */
export function usingInside<T>(root: string, inside: string, use: (path: string) => T, before?: BeforeOpening): T {
  let fd = openSync(root, O_PATH | constants.O_DIRECTORY);
  let opened = root;
  try {
    const parts = partsOf(inside);
    for (const [index, part] of parts.entries()) {
      const path = `/proc/self/fd/${fd}/${part}`;
      before?.(path, index === parts.length - 1);
      const next = openSync(path, O_PATH | constants.O_NOFOLLOW);
      closeSync(fd);
      fd = next;
      opened = join(opened, part);
      // With O_PATH it is the link itself that is opened (open(2)).
      if (fstatSync(fd).isSymbolicLink()) throw new LinkFound(`${opened} is a symbolic link`);
    }
    return use(`/proc/self/fd/${fd}`);
  } catch (error) {
    throw withNames(error, fd, opened);
  } finally {
    closeSync(fd);
  }
}

/** A descriptor's number tells people nothing. */
function withNames(error: unknown, fd: number, path: string): unknown {
  if (error instanceof Error) {
    error.message = error.message.replaceAll(new RegExp(`/proc/self/fd/${fd}(?!\\d)`, 'g'), () => path);
  }
  return error;
}
