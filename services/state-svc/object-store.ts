// The artifacts that revisions share:
//   <storage>/objects/<sha256>          read-only; linked into every revision that has it
//   <storage>/objects/incoming/<id>     an upload under way, see uploads.ts
import { chmod, link, readdir, rename, stat, unlink, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode, reasonOf } from '../../shared/kernel/system-error.ts';
import type { Logger } from '../../shared/log/logger.ts';
import type { HealthReason } from '../../shared/schema/health.ts';
import { sha256 } from '../../shared/schema/names.ts';
import type { ObjectRow } from '../../shared/schema/steps.ts';
import { syncPath } from './atomic-file.ts';
import { fewAtATime } from './few-at-a-time.ts';
import { AS_IT_IS, type Ownership } from './ownership.ts';

export interface StoredObject extends ObjectRow {
  /** Names that its content has on this file system, 1 when no revision has it. */
  readonly links: number;
  readonly modifiedMs: number;
}

export interface ObjectStore {
  /** In the order of their names. */
  list(): Promise<readonly string[]>;
  /** Undefined when it is not here. Rejects, in words for whoever asked for it, when it is and cannot be looked at. */
  find(digest: string): Promise<StoredObject | undefined>;
  /** Of these those that are here, in the same order. One that cannot be looked at is left out, and told once. */
  findAll(digests: readonly string[]): Promise<readonly StoredObject[]>;
  /** Of those that were asked for those that could not be looked at, the last time. */
  health(): readonly HealthReason[];
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
/** Tens of thousands at once would take as many megabytes, and their answers would come all together. */
const LOOKS_AT_A_TIME = 64;

export function openObjectStore(storage: string, log: Logger, ownership: Ownership = AS_IT_IS): ObjectStore {
  const folder = join(storage, 'objects');
  const path = (digest: string): string => join(folder, digest);
  /** Digest → why it cannot be looked at. */
  const unseen = new Map<string, string>();
  const find = async (digest: string): Promise<StoredObject | undefined> => {
    try {
      const found = await stat(path(digest));
      unseen.delete(digest);
      await ownership.take(path(digest), found);
      return { sha256: digest, bytes: found.size, links: found.nlink, modifiedMs: found.mtimeMs };
    } catch (error) {
      const known = unseen.get(digest);
      unseen.delete(digest);
      if (errorCode(error) === 'ENOENT') return undefined;
      const reason = reasonOf(error);
      unseen.set(digest, reason);
      // Nothing can take its place: rename(2) and unlink(2) look at what is there as well.
      const message = `object ${digest} cannot be looked at, nor replaced (${reason}): check the file system of the storage`;
      if (known !== reason) log.warn(message);
      throw new Error(message);
    }
  };
  /** Whoever wrote it may not write any more once it has its name. */
  const seal = async (file: string): Promise<void> => {
    await chmod(file, OBJECT_MODE);
    await syncPath(file);
  };
  return {
    async list() {
      const names: readonly string[] = await readdir(folder).catch((error: unknown) => {
        if (errorCode(error) === 'ENOENT') return [];
        throw error;
      });
      for (const digest of unseen.keys()) if (!names.includes(digest)) unseen.delete(digest);
      return names.filter((name) => sha256.safeParse(name).success).sort();
    },
    find,
    async findAll(digests) {
      const found = await fewAtATime(digests, LOOKS_AT_A_TIME, (digest) => find(digest).catch(() => undefined));
      return found.flatMap((each) => each ?? []);
    },
    health() {
      const [first] = unseen;
      if (first === undefined) return [];
      const [digest, reason] = first;
      const more = unseen.size === 1 ? '' : ` and ${unseen.size - 1} more`;
      const message =
        `${digest}${more} cannot be looked at (${reason}), and neither be run from, nor replaced, nor collected: ` +
        'check the file system of the storage';
      return [{ code: 'OBJECTS_UNREADABLE', subject: 'objects', message: message.slice(0, 500) }];
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
