// Makes and removes nodes in a folder that is a container's /dev: whatever the container puts there, no link of its is followed, and what
// it made itself is left alone.
import { chmodSync, chownSync, lstatSync, mkdirSync, readlinkSync, statSync, symlinkSync, unlinkSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import type { WantedNode } from '../../shared/devices/device-rule.ts';
import { type DeviceNumber, isDevice, makeDeviceNode } from '../../shared/kernel/device-node.ts';
import { KernelError } from '../../shared/kernel/libc.ts';
import { errorCode } from '../../shared/kernel/system-error.ts';
import { makingFolders, usingInside } from './inside-path.ts';
import type { NodesRecord } from './record-store.ts';

/** `to`: of a link. */
export type MadeNode = NodesRecord[string][number];

/** Answers what was made: nothing, where something is already. Throws what the system says, and LinkFound. */
export type MakeNode = (folder: string, device: DeviceNumber, wanted: WantedNode) => readonly MadeNode[];

const FOLDER_MODE = 0o755;

/** In a folder that nobody else has seen yet. It takes a fifth of the time, for each device at each start. */
export const makeFirstNode: MakeNode = (folder, device, wanted) => {
  const place = join(folder, wanted.path);
  const makeParents = (path: string): void => {
    if (path.includes('/')) mkdirSync(dirname(join(folder, path)), { recursive: true, mode: FOLDER_MODE });
  };
  makeParents(wanted.path);
  if (!ifFree(() => makeDeviceNode(place, device))) return [];
  own(place, wanted);
  const link = linkOf(wanted);
  if (link === undefined) return [{ path: wanted.path }];
  makeParents(link.path);
  return [{ path: wanted.path }, ...(ifFree(() => symlinkSync(link.to, join(folder, link.path))) ? [link] : [])];
};

/** In a folder that a container has. */
export const makeNode: MakeNode = (folder, device, wanted) => {
  const isMade = inFolder(folder, wanted.path, (place) => {
    if (!ifFree(() => makeDeviceNode(place, device))) return false;
    // Whatever has taken its place by now is another.
    usingInside(dirname(place), basename(place), (opened) => {
      if (isDevice(statSync(opened), device)) own(opened, wanted);
    });
    return true;
  });
  if (!isMade) return [];
  const link = linkOf(wanted);
  const isLinked =
    link !== undefined && inFolder(folder, link.path, (place) => ifFree(() => symlinkSync(link.to, place)));
  return [{ path: wanted.path }, ...(isLinked ? [link] : [])];
};

function own(place: string, { uid, gid, mode }: WantedNode): void {
  if (uid !== 0 || gid !== 0) chownSync(place, uid, gid);
  chmodSync(place, mode);
}

function linkOf({ path, link }: WantedNode): { readonly path: string; readonly to: string } | undefined {
  return link === undefined ? undefined : { path: link, to: relative(dirname(link), path) };
}

/** Whether it is there as it was made. Throws LinkFound. */
export function isThere(folder: string, device: DeviceNumber, made: MadeNode): boolean {
  return existing(() => inFolder(folder, made.path, (place) => isSame(place, device, made))) ?? false;
}

/** What is not as it was made is the container's by now, and stays. Throws LinkFound. */
export function removeNode(folder: string, device: DeviceNumber, made: MadeNode): void {
  existing(() =>
    inFolder(folder, made.path, (place) => {
      if (isSame(place, device, made)) unlinkSync(place);
      return true;
    }),
  );
}

function isSame(place: string, device: DeviceNumber, { to }: MadeNode): boolean {
  const stats = lstatSync(place);
  return to === undefined ? isDevice(stats, device) : stats.isSymbolicLink() && readlinkSync(place) === to;
}

/** `use` is given a path to it in a folder that cannot change; the folders on the way are made. */
function inFolder(folder: string, path: string, use: (place: string) => boolean): boolean {
  const above = dirname(path);
  return usingInside(
    folder,
    above === '.' ? '' : above,
    (opened) => use(join(opened, basename(path))),
    makingFolders(FOLDER_MODE),
  );
}

function ifFree(make: () => void): boolean {
  try {
    make();
    return true;
  } catch (error) {
    const code = error instanceof KernelError ? error.errno : errorCode(error);
    if (code === 'EEXIST') return false;
    throw error;
  }
}

function existing<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errorCode(error))) return undefined;
    throw error;
  }
}
