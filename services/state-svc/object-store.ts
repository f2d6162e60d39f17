// The artifacts that revisions share:
//   <storage>/objects/<sha256>          read-only; linked into every revision that has it
//   <storage>/objects/incoming/<id>     an upload under way, see uploads.ts
import { chmod, link, readdir, rename, stat, unlink, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '../../shared/kernel/system-error.ts';
import { sha256 } from '../../shared/schema/names.ts';
import type { ObjectRow } from '../../shared/schema/steps.ts';
import { syncPath } from './atomic-file.ts';

export interface StoredObject extends ObjectRow {
  /** Names that its content has on this file system, 1 when no revision has it. */
  readonly links: number;
  readonly modifiedMs: number;
}

export interface ObjectStore {
  /** In the order of their names. */
  list(): Promise<readonly string[]>;
  /** Undefined when it is not here. */
  find(digest: string): Promise<StoredObject | undefined>;
  /** The file becomes the object, on disk when it resolves; it keeps its own name too. False: one is there already, and stays. */
  adopt(file: string, digest: string): Promise<boolean>;
  /**
   * The file becomes the object instead of the one that is there, which revisions have until they are checked out again: it may be mounted.
   * On disk when it resolves: always true.
   */
  replace(file: string, digest: string): Promise<true>;
  remove(digest: string): Promise<void>;
  /** As if it had come just now: somebody is about to use it. */
  touch(digest: string): Promise<void>;
}

const OBJECT_MODE = 0o444;

export function openObjectStore(storage: string): ObjectStore {
  const folder = join(storage, 'objects');
  const path = (digest: string): string => join(folder, digest);
  /** Whoever wrote it may not write any more once it has its name. */
  const seal = async (file: string): Promise<void> => {
    await chmod(file, OBJECT_MODE);
    await syncPath(file);
  };
  return {
    async list() {
      const names = await readdir(folder).catch((error: unknown) => {
        if (errorCode(error) === 'ENOENT') return [];
        throw error;
      });
      return names.filter((name) => sha256.safeParse(name).success).sort();
    },
    async find(digest) {
      try {
        const found = await stat(path(digest));
        return { sha256: digest, bytes: found.size, links: found.nlink, modifiedMs: found.mtimeMs };
      } catch (error) {
        if (errorCode(error) === 'ENOENT') return undefined;
        throw error;
      }
    },
    async adopt(file, digest) {
      await seal(file);
      const isAdopted = await link(file, path(digest)).then(
        () => true,
        (error: unknown) => {
          if (errorCode(error) === 'EEXIST') return false;
          throw error;
        },
      );
      await syncPath(folder);
      return isAdopted;
    },
    async replace(file, digest) {
      await seal(file);
      await rename(file, path(digest));
      await syncPath(folder);
      return true;
    },
    remove: (digest) => unlink(path(digest)),
    touch: (digest) => utimes(path(digest), new Date(), new Date()),
  };
}
