// What a container mounts from inside volumes and exports, bound to places of Berth's own while it is started: LXC follows the path that it
// is given, as root, and whoever writes to a volume can make a link of any part of a path in it at any moment.
import { existsSync, mkdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { KernelError } from '../../shared/kernel/libc.ts';
import {
  MS_BIND,
  MS_NODEV,
  MS_NOSUID,
  MS_PRIVATE,
  MS_RDONLY,
  MS_REC,
  MS_REMOUNT,
  MS_SLAVE,
  mount,
  unmount,
} from '../../shared/kernel/mount.ts';
import { type MountAttributes, setMountAttributes } from '../../shared/kernel/mount-attributes.ts';
import { errorCode, reasonOf } from '../../shared/kernel/system-error.ts';
import { makingFolders, usingInside, usingResolved } from './inside-path.ts';
import { mountOverlaySource, type OverlaySource } from './overlay-sources.ts';
import { bindMount } from './root-mounts.ts';

export interface MountSource {
  /** As the configuration writes it. */
  readonly name: string;
  /** Where LXC finds it. */
  readonly place: string;
  /** A folder that nobody but Berth can replace, and what is meant in it: links are followed as if it was the root. */
  readonly root: string;
  readonly inside: string;
  /** Whether the root is a folder of Berth's, in which nothing but mounts is anybody else's, and not a volume. */
  readonly isBerths: boolean;
  /** Whether folders that are missing are made. */
  readonly isMade: boolean;
  /** Whether the container starts without it where it is missing. */
  readonly isOptional: boolean;
  /** Whether what is mounted below it is mounted, too. */
  readonly isRecursive: boolean;
}

/** A path that LXC may be given as it is, but with attributes of its own. */
export interface RemountedSource {
  readonly name: string;
  readonly place: string;
  readonly attributes: MountAttributes;
  readonly isOptional: boolean;
  readonly isRecursive: boolean;
}

/** What is in its place before LXC mounts anything. */
export type StartSource = MountSource | OverlaySource | RemountedSource;

/** Binds a source to its place. Throws an error that names it. */
export type BindSource = (source: StartSource) => void;

/** `folder` is to hold the places, and nothing is bound there yet. */
export function createSources(folder: string): BindSource {
  let isThere = false;
  return (source) => {
    if (!isThere) makePlaces(folder);
    isThere = true;
    try {
      if ('lowers' in source) mountOverlaySource(source);
      else if ('attributes' in source) bindRemounted(source);
      else bindSource(source);
    } catch (error) {
      // Read-only: a folder that is missing in an image cannot be made.
      const isMissing = ['ENOENT', 'ENOTDIR', 'EROFS'].includes(errorCode(error));
      // LXC then finds nothing in its place.
      if (isMissing && source.isOptional) return;
      const reason = reasonOf(error);
      throw new Error(isMissing ? `${source.name} is not there` : `${source.name}: ${reason}`);
    }
  };
}

function makePlaces(folder: string): void {
  mkdirSync(folder, { recursive: true });
  mount('berth-sources', folder, 'tmpfs', 0, 'mode=0700');
  // What is bound in it is no concern of other containers' mount namespaces.
  mount('none', folder, 'none', MS_PRIVATE);
}

function bindSource({ place, root, inside, isBerths, isMade, isRecursive }: MountSource): void {
  const bind = (path: string): void => {
    bindAt(path, place, isRecursive);
    // Its mount points could be removed, and links be put in their place.
    if (isBerths && usingInside(root, '', mountId) === mountId(path)) {
      mount('none', place, 'none', MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV);
    }
  };
  usingResolved(root, inside, bind, isMade ? makingFolders(0o755) : undefined);
}

function bindRemounted({ name, place, attributes, isRecursive }: RemountedSource): void {
  bindAt(name, place, isRecursive);
  setMountAttributes(place, attributes);
}

function bindAt(path: string, place: string, isRecursive: boolean): void {
  if (statSync(path).isDirectory()) mkdirSync(place);
  else writeFileSync(place, '');
  bindMount(path, place, isRecursive ? MS_REC : 0);
  setSlave(place);
}

/** Mounts go on to appear there, and none goes from where it was bound from because it goes there (mount_namespaces(7)). */
function setSlave(place: string): void {
  mount('none', place, 'none', MS_SLAVE | MS_REC);
}

/** `path`: of an open file, as usingInside gives it (proc(5), /proc/[pid]/fdinfo). */
export function mountId(path: string): string | undefined {
  return /^mnt_id:\s*(\d+)$/m.exec(readFileSync(path.replace('/fd/', '/fdinfo/'), 'utf8'))?.[1];
}

/** Whatever a start has left; what the container itself has mounted stays. True: there was something. Throws what the system says. */
export function dropSources(folder: string): boolean {
  if (!existsSync(folder)) return false;
  try {
    // Here too: a service may have been killed just after it had bound one.
    setSlave(folder);
    unmount(folder, true);
  } catch (error) {
    // Nothing is mounted there.
    if (!(error instanceof KernelError && error.errno === 'EINVAL')) throw error;
  }
  rmdirSync(folder);
  return true;
}
