// Paths that disks may have: devices, folders, and files below /storage, which is the storage folder wherever that is. Pure.
import { devicePath } from '../schema/storage.ts';
import type { Problem } from './revision.ts';
import { shown } from './schema-problems.ts';

export function isBlockDevice(path: string | undefined): boolean {
  return path?.startsWith('/dev/') === true;
}

export function checkedPath(text: string, path: string, wrong: Problem[]): string | undefined {
  if (devicePath.safeParse(text).success) return text;
  const message = `is ${shown(text)}; must be an absolute path without empty, "." or ".." parts, as in "/storage/data"`;
  wrong.push({ path, code: 'DISK_PATH', message });
  return undefined;
}

/** Folders of <storage> that have owners of their own. */
const STORAGE_FOLDERS = ['boot', 'trails', 'objects', 'cache', 'logs', 'ipam', 'supervisor', 'disks'];

/** Undefined: it is not below /storage at all. False, with a problem: it is Berth's own. */
export function isInStorage(at: string, path: string, wrong: Problem[]): boolean | undefined {
  if (at !== '/storage' && !at.startsWith('/storage/')) return undefined;
  const [folder = ''] = at.slice('/storage/'.length).split('/');
  if (folder !== '' && !STORAGE_FOLDERS.includes(folder)) return true;
  const message = `is ${shown(at)}, which is kept for Berth's own files; name another folder of /storage`;
  wrong.push({ path, code: 'DISK_PATH', message });
  return false;
}

/** Files are made by Berth, so only where nothing else of the system is. */
export function isImagePath(at: string, path: string, wrong: Problem[]): boolean {
  const inStorage = isInStorage(at, path, wrong);
  if (inStorage !== undefined) return inStorage;
  wrong.push({ path, code: 'DISK_PATH', message: `is ${shown(at)}; an image must be below /storage` });
  return false;
}
