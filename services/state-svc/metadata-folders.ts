// Which folders of <storage>/cache hold metadata. By Berth's names they are usrmeta and devmeta; on a device that ran Pantavisor, what is in the folder
// of its name stays there, so that a way back loses nothing. In Berth's own folder an earlier build kept all of it, whatever Pantavisor called its.
import { lstatSync, readdirSync } from 'node:fs';
import { join, normalize } from 'node:path';
import type { KeyName } from '../../shared/config/keys.ts';
import type { Settings } from '../../shared/config/settings.ts';
import type { Logger } from '../../shared/log/logger.ts';
import type { MetadataKind } from '../../shared/schema/metadata.ts';
import { HALF } from './metadata-store.ts';

export type MetadataFolders = Readonly<Record<MetadataKind, string>>;

/** Below <storage>/cache. */
export const OWN_FOLDERS: MetadataFolders = { user: 'usrmeta', device: 'devmeta' };

/** Pantavisor's name where its configuration says none. */
const STOCK_USER_FOLDER = 'meta';

/** Where Pantavisor has its storage: with an init of its own, and beside another one. */
const STOCK_STORAGES = ['/storage', '/var/pantavisor/storage'] as const;

/** No name of a file that is kept beside the folders. */
const FOLDER_NAME = /^[\w-]{1,64}$/;

export function metadataFolders(storage: string, settings: Settings, log: Logger): MetadataFolders {
  const cache = join(storage, 'cache');
  const storages = [...STOCK_STORAGES, storage, settings.value('PV_STORAGE_MNTPOINT')].filter((path) => path !== '');
  const written = (key: KeyName): string | undefined =>
    settings.written().find((each) => each.key === key && each.value !== '')?.value;

  /** Undefined: it is not written, or cannot be used, which is told. */
  const configured = (key: KeyName, own: string, taken: readonly string[]): string | undefined => {
    const path = written(key);
    if (path === undefined) return undefined;
    const name = nameInCache(path, storages);
    if (name !== undefined && !taken.includes(name) && isFolderOrFree(join(cache, name))) return name;
    log.warn(`${key} is '${path}', which is no folder for metadata right in ${cache}: ${join(cache, own)} is used`);
    return undefined;
  };

  const folderOf = (own: string, stock: string | undefined): string => {
    if (stock === undefined || stock === own || !holdsKeys(join(cache, own))) return stock ?? own;
    if (holdsKeys(join(cache, stock)))
      log.warn(
        `metadata in ${join(cache, stock)} is not used, as ${join(cache, own)} holds some: it is used at the next start once that is moved away`,
      );
    return own;
  };

  const { user: ownUser, device: ownDevice } = OWN_FOLDERS;
  const isStockUser = written('PV_CACHE_USRMETADIR') === undefined && isFolder(join(cache, STOCK_USER_FOLDER));
  const stockUser = isStockUser ? STOCK_USER_FOLDER : configured('PV_CACHE_USRMETADIR', ownUser, [ownDevice]);
  const user = folderOf(ownUser, stockUser);
  const stockDevice = configured('PV_CACHE_DEVMETADIR', ownDevice, [ownUser, STOCK_USER_FOLDER, user]);
  return { user, device: folderOf(ownDevice, stockDevice) };
}

function nameInCache(path: string, storages: readonly string[]): string | undefined {
  const plain = normalize(path).replace(/\/$/, '');
  return storages
    .map((storage) => `${normalize(storage).replace(/\/$/, '')}/cache/`)
    .filter((prefix) => plain.startsWith(prefix))
    .map((prefix) => plain.slice(prefix.length))
    .find((name) => FOLDER_NAME.test(name));
}

/** On a damaged disk what cannot be looked at is taken for what it was last: a folder, with keys in it. */
function unlessUnseen(look: () => boolean): boolean {
  try {
    return look();
  } catch {
    return true;
  }
}

function isFolder(path: string): boolean {
  return unlessUnseen(() => lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true);
}

function isFolderOrFree(path: string): boolean {
  return isFolder(path) || lstatSync(path, { throwIfNoEntry: false }) === undefined;
}

/** Whatever is in it, but for a value that was being written. */
function holdsKeys(folder: string): boolean {
  return isFolder(folder) && unlessUnseen(() => readdirSync(folder).some((name) => !name.startsWith(HALF)));
}
