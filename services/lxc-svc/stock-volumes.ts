// Volumes that a device had under Pantavisor. At its first mount such a volume is moved to the name that Berth has for it, by one rename, so that it
// has one place for any build of Berth; a link in its old place leads Pantavisor there, should the device go back to it. Where both have a folder,
// what Berth's containers wrote is theirs, and what Pantavisor left is untouched; where neither has a file, the folders that they made are theirs.
//
// <disk>/perm/<container>/<volume>              moved to permanent/…
// <disk>/rev/<revision>/<container>/<volume>    moved to revision/…
import { lstatSync, readdirSync, readlinkSync, renameSync, rmdirSync, symlinkSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { statIfThere } from '../../shared/kernel/stat-if-there.ts';
import { errorCode } from '../../shared/kernel/system-error.ts';
import { LinkFound, makingFolders, partsOf, usingInside } from './inside-path.ts';

export interface VolumePlaces {
  /** Below the root of the disk, as all paths here. */
  readonly own: string;
  readonly stock: string;
}

export interface Tell {
  info(text: string): void;
  warn(text: string): void;
}

/** What a mount makes in a volume goes as deep at most; deeper ones are left alone. */
const MAX_BLANK_DEPTH = 16;

/**
 * Answers the folder that is to be bound: `own`, which need not be there yet, or `stock`, where that cannot be moved: it lies on another file system.
 * Throws LinkFound where `stock` is behind a link and `own` holds nothing.
 */
export function volumeFolder(root: string, { own, stock }: VolumePlaces, tell: Tell): string {
  // As on most devices.
  if (lstatSync(join(root, topOf(stock)), { throwIfNoEntry: false }) === undefined) return own;
  const ours = isFolder(root, own);
  if (ours && !isBlank(root, own)) {
    if (holdsMore(root, stock))
      tell.warn(
        `${join(root, stock)} of Pantavisor is not used, as ${join(root, own)} holds files: it is used once that is moved away while the container is stopped`,
      );
    return own;
  }
  if (!isStock(root, { own, stock }, tell)) return own;
  // An application may need the folders that it made once, and not do so again.
  if (ours && isBlank(root, stock) && !isWithin(root, own, stock)) return own;
  try {
    move(root, { own, stock });
  } catch (error) {
    const isLost = isFolder(root, own);
    tell.warn(
      `${join(root, stock)} of Pantavisor cannot be moved, and is ${isLost ? 'not used' : 'used there'}: ${String(error)}`,
    );
    return isLost ? own : stock;
  }
  linkBack(root, { own, stock });
  tell.info(`${join(root, stock)} of Pantavisor is ${own} now`);
  return own;
}

function topOf(path: string): string {
  const [top = path] = path.split('/');
  return top;
}

/** The folder that holds `path` is opened part by part, without links; undefined: it is not there. */
function inParent<T>(root: string, path: string, use: (place: string) => T): T | undefined {
  try {
    return usingInside(root, dirname(path), (parent) => use(`${parent}/${basename(path)}`));
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errorCode(error))) return undefined;
    throw error;
  }
}

function isFolder(root: string, path: string): boolean {
  const found = inParent(root, path, (place) => lstatSync(place, { throwIfNoEntry: false }));
  return found?.isDirectory() === true;
}

/** Throws LinkFound where it is behind a link: what is bound must not be for whoever writes to the disk to choose. */
function isStock(root: string, places: VolumePlaces, tell: Tell): boolean {
  try {
    return isUnlinked(root, places);
  } catch (error) {
    if (!(error instanceof LinkFound)) throw error;
    // Whole folders of Pantavisor's are behind links for containers, too, that it never had.
    const stock = join(root, places.stock);
    const missing = firstMissing(root, places.stock);
    if (missing === undefined)
      throw new LinkFound(
        `${error.message}: what Pantavisor kept in ${stock} is to be moved to ${join(root, places.own)}, or the link to be replaced by a bind mount`,
      );
    if (isLink(missing)) tell.warn(`${stock} of Pantavisor is not looked for: the link ${missing} leads nowhere`);
    return false;
  }
}

/** A link there is ours, from when it was moved, or nobody knows what it shows. */
function isUnlinked(root: string, { own, stock }: VolumePlaces): boolean {
  const link = inParent(root, stock, (place) => (isLink(place) ? readlinkSync(place) : undefined));
  if (link === undefined) return isFolder(root, stock);
  if (link === wayBack({ own, stock })) return false;
  throw new LinkFound(`${join(root, stock)} is a symbolic link`);
}

function isLink(place: string): boolean {
  try {
    return lstatSync(place).isSymbolicLink();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errorCode(error))) return false;
    throw error;
  }
}

/** The first part of `path` where nothing is, links followed. */
function firstMissing(root: string, path: string): string | undefined {
  const parts = partsOf(path);
  return parts.map((_, index) => join(root, ...parts.slice(0, index + 1))).find((place) => !isReached(place));
}

function isReached(path: string): boolean {
  try {
    return statIfThere(path) !== undefined;
  } catch (error) {
    if (['ENOTDIR', 'ELOOP'].includes(errorCode(error))) return false;
    throw error;
  }
}

/**
 * Nothing but folders: what a mount makes in a volume that nobody wrote to. What a start writes to the overlay (the host name, files that are mount
 * points) cannot be told from what the container wrote there, and nothing of that may be lost.
 */
function isBlank(root: string, path: string, depth = 0): boolean {
  if (depth > MAX_BLANK_DEPTH) return false;
  return usingInside(root, path, (folder) =>
    readdirSync(folder, { withFileTypes: true }).every(
      (entry) => entry.isDirectory() && isBlank(folder, entry.name, depth + 1),
    ),
  );
}

/** Each folder of `own`, which is blank, is one of `stock`, too. */
function isWithin(root: string, own: string, stock: string): boolean {
  const isOneOfBoth = (name: string): boolean =>
    isFolder(root, join(stock, name)) && isWithin(root, join(own, name), join(stock, name));
  return usingInside(root, own, (folder) => readdirSync(folder).every(isOneOfBoth));
}

/** False also where that cannot be told: it is not used, whatever it holds. */
function holdsMore(root: string, path: string): boolean {
  try {
    return isFolder(root, path) && !isBlank(root, path);
  } catch {
    return false;
  }
}

function move(root: string, { own, stock }: VolumePlaces): void {
  if (isFolder(root, own)) usingInside(root, dirname(own), (parent) => removeFolders(parent, basename(own)));
  usingInside(root, dirname(stock), (from) =>
    usingInside(
      root,
      dirname(own),
      (to) => renameSync(`${from}/${basename(stock)}`, `${to}/${basename(own)}`),
      makingFolders(0o755),
    ),
  );
}

/** Throws ENOTEMPTY where somebody has put a file there meanwhile. */
function removeFolders(parent: string, name: string): void {
  usingInside(parent, name, (folder) => {
    for (const each of readdirSync(folder)) removeFolders(folder, each);
  });
  rmdirSync(`${parent}/${name}`);
}

function wayBack({ own, stock }: VolumePlaces): string {
  return relative(dirname(stock), own);
}

function linkBack(root: string, places: VolumePlaces): void {
  try {
    inParent(root, places.stock, (place) => symlinkSync(wayBack(places), place));
  } catch {
    // Not all file systems have links, and Berth needs none.
  }
}
