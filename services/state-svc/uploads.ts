// Uploads under way: ctl-svc writes and hashes, the files are ours, so that nothing gets into the store but through here.
//   <storage>/objects/incoming/<id>     made empty, mode 0660, in a folder whose group is ctl-svc's
import { mkdirSync, readdirSync } from 'node:fs';
import { chmod, open, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Refusal } from '../../shared/ipc/contract.ts';
import { isFull, reasonOf } from '../../shared/kernel/system-error.ts';
import type { Logger } from '../../shared/log/logger.ts';
import type { Arrivals } from './arrivals.ts';
import type { stateContract } from './contract.ts';
import type { ObjectStore, StoredObject } from './object-store.ts';
import type { RevisionStore } from './revision-store.ts';
import type { StorageRoom } from './storage-room.ts';

type BeginFailure = Refusal<typeof stateContract, 'beginUpload'>;
type FinishFailure = Refusal<typeof stateContract, 'finishUpload'>;

type NoSpace = Extract<BeginFailure, { code: 'NO_SPACE' }>;
type Failed = Extract<BeginFailure, { code: 'STORE_FAILED' }>;

type BeganUpload =
  | { readonly kind: 'present'; readonly bytes: number }
  | { readonly kind: 'upload'; readonly path: string; readonly roomBytes: number }
  | { readonly kind: 'refused'; readonly error: BeginFailure };

export interface Uploads {
  /** What an earlier process left behind is removed. Never rejects. */
  open(): Promise<void>;
  /** Of one that is aborted nothing is left. */
  begin(
    wanted: { readonly id: string; readonly sha256?: string | undefined; readonly bytes?: number | undefined },
    signal: AbortSignal,
  ): Promise<BeganUpload>;
  /** Undefined: it is in the store. */
  finish(id: string): Promise<FinishFailure | undefined>;
  /** The text of an upload that was no object's; it is over with that, also when it was too long: then undefined. */
  takeText(id: string, maxBytes: number): Promise<{ readonly text: string | undefined } | undefined>;
  /**
   * Acts when what `text` names and is on its way has come, or comes no more; after a minute in any case. A client may send a state
   * without having waited to hear that its objects are here.
   */
  whenSettled<T>(text: string, act: () => Promise<T>): Promise<T>;
  abandon(id: string): Promise<void>;
  abandonAll(): Promise<void>;
  /** Objects that are coming, and those of states that are being looked at: not to be taken for garbage in the meantime. */
  expected(): ReadonlySet<string>;
}

export interface UploadContext {
  readonly storage: string;
  readonly objects: ObjectStore;
  readonly store: Pick<RevisionStore, 'isSuspect' | 'isSeen' | 'onHashed' | 'verifyObjects'>;
  readonly room: Pick<StorageRoom, 'availableBytes'>;
  /** Told of each object that has come, or that somebody was told to be here. */
  readonly arrivals: Pick<Arrivals, 'came'>;
  readonly log: Logger;
  /** Tries to. Never rejects. */
  makeRoom(): Promise<void>;
}

/** At a time; more than ctl-svc serves at once. */
export const MAX_UPLOADS = 64;
const UPLOAD_MODE = 0o660;
/** Hashed before its upload is answered: a second's work on a slow disk. */
const SMALL_BYTES = 16 * 1024 * 1024;

/** Milliseconds: a slow disk has a large object by then. */
const SETTLE_MS = 60_000;

interface Upload {
  readonly sha256: string | undefined;
  /** Bytes that were announced; 0 when nobody said. */
  readonly bytes: number;
  /** The object that is there is damaged, or may be. */
  readonly replaces: boolean;
}

export function createUploads({ storage, objects, store, room, arrivals, log, makeRoom }: UploadContext): Uploads {
  const folder = join(storage, 'objects/incoming');
  const uploads = new Map<string, Upload>();
  const pathOf = (id: string): string => join(folder, id);
  /** Called whenever an upload is over. */
  const waiting = new Set<() => void>();

  const forget = (id: string): void => {
    uploads.delete(id);
    for (const look of waiting) look();
  };

  const drop = async (id: string): Promise<void> => {
    forget(id);
    await rm(pathOf(id), { force: true }).catch((error: unknown) => log.warn(`upload ${id} stays: ${String(error)}`));
  };

  /** What is free and not promised to another upload. */
  const unpromised = async (): Promise<number> => {
    let bytes = await room.availableBytes();
    for (const [id, upload] of uploads) {
      const written = await stat(pathOf(id)).catch(() => undefined);
      bytes -= Math.max(0, upload.bytes - (written?.size ?? 0));
    }
    return Math.max(0, bytes);
  };

  /** `sha256`: undefined of the JSON of a step. */
  const tellFull = (
    sha256: string | undefined,
    requiredBytes: number,
    availableBytes: number,
    error?: unknown,
  ): NoSpace => {
    const what = sha256 === undefined ? 'a state' : `object ${sha256}`;
    // A quota, or inodes, may be used up beside bytes.
    const missing =
      error === undefined ? `${Math.max(1, requiredBytes - availableBytes)} B missing at least` : reasonOf(error);
    log.warn(
      `there is no room for ${what}: ${requiredBytes} B are required, ${availableBytes} B available, ${missing}`,
    );
    return { code: 'NO_SPACE', requiredBytes, availableBytes };
  };

  /** A disk that is full at the very end is full all the same. */
  const failureOf = async (error: unknown, sha256: string | undefined, bytes: number): Promise<NoSpace | Failed> => {
    if (isFull(error)) return tellFull(sha256, bytes, await unpromised().catch(() => 0), error);
    return { code: 'STORE_FAILED', reason: String(error).slice(0, 500) };
  };

  const roomFor = async (bytes: number): Promise<number> => {
    const before = await unpromised();
    // Of one whose length nobody knows: there should be something at least.
    if (before > bytes) return before;
    await makeRoom();
    return unpromised();
  };

  /**
   * To hash it each time would take as long as to upload it: only what gives rise to doubt is hashed, and of that what is small. Nobody waits
   * for the rest, and what comes in its place has the right sha256 or does not become the object.
   */
  const mayBeDamaged = async (found: StoredObject, bytes: number | undefined): Promise<boolean> => {
    const isDoubtful = store.isSuspect(found.sha256) || (bytes !== undefined && bytes !== found.bytes);
    if (!isDoubtful) return false;
    if (found.bytes > SMALL_BYTES) return true;
    const problems = await store.verifyObjects(new Map([[found.sha256, found.sha256]]), 'new');
    for (const { message } of problems) log.warn(`${message}; what is uploaded replaces it`);
    return problems.length > 0;
  };

  /** What the states name that are being looked at. */
  const checked = new Set<ReadonlySet<string>>();
  const settled = async (text: string): Promise<void> => {
    const coming: string[] = [];
    for (const [id, { sha256, replaces }] of uploads) {
      if (sha256 === undefined || !text.includes(sha256)) continue;
      if (replaces || (await objects.findAll([sha256])).length === 0) coming.push(id);
    }
    await new Promise<void>((resolve) => {
      const end = (): void => {
        waiting.delete(look);
        clearTimeout(patience);
        resolve();
      };
      const look = (): void => {
        if (!coming.some((id) => uploads.has(id))) end();
      };
      const patience = setTimeout(end, SETTLE_MS);
      waiting.add(look);
      look();
    });
  };

  return {
    async open() {
      try {
        mkdirSync(folder, { recursive: true });
        for (const name of readdirSync(folder)) await rm(join(folder, name), { recursive: true, force: true });
      } catch (error) {
        log.warn(`what is left of interrupted uploads in ${folder} stays: ${String(error)}`);
      }
    },
    async begin({ id, sha256, bytes: announced }, signal) {
      const bytes = announced ?? 0;
      const refused = (error: BeginFailure): BeganUpload => ({ kind: 'refused', error });
      try {
        const present = sha256 === undefined ? undefined : await objects.find(sha256);
        const replaces = present !== undefined && (await mayBeDamaged(present, announced));
        if (present !== undefined && !replaces) {
          const isSeen = store.isSeen(present.sha256);
          await objects.touch(present.sha256);
          arrivals.came(present.sha256);
          // The time of its change is no news of what it holds.
          if (isSeen) store.onHashed(present.sha256);
          return { kind: 'present', bytes: present.bytes };
        }
        if (uploads.size >= MAX_UPLOADS) return refused({ code: 'TOO_MANY_UPLOADS', limit: MAX_UPLOADS });
        if (uploads.has(id)) throw new Error(`upload ${id} is under way`);
        // Before the first wait: the next one has to count with it.
        uploads.set(id, { sha256, bytes: 0, replaces });
        const availableBytes = await roomFor(bytes);
        if (availableBytes < bytes || availableBytes === 0) {
          forget(id);
          return refused(tellFull(sha256, bytes, availableBytes));
        }
        uploads.set(id, { sha256, bytes, replaces });
        try {
          await (await open(pathOf(id), 'wx', UPLOAD_MODE)).close();
          // The umask would keep the group out. By its path: Node's permission model has no fchmod.
          await chmod(pathOf(id), UPLOAD_MODE);
          signal.throwIfAborted();
        } catch (error) {
          await drop(id);
          throw error;
        }
        return { kind: 'upload', path: pathOf(id), roomBytes: availableBytes };
      } catch (error) {
        return refused(await failureOf(error, sha256, bytes));
      }
    },
    async finish(id) {
      const upload = uploads.get(id);
      if (upload?.sha256 === undefined) return { code: 'NO_SUCH_UPLOAD' };
      try {
        const isIt = await (upload.replaces ? objects.replace : objects.adopt)(pathOf(id), upload.sha256);
        arrivals.came(upload.sha256);
        if (isIt) store.onHashed(upload.sha256);
        return undefined;
      } catch (error) {
        return await failureOf(error, upload.sha256, upload.bytes);
      } finally {
        await drop(id);
      }
    },
    async takeText(id, maxBytes) {
      const upload = uploads.get(id);
      if (upload === undefined || upload.sha256 !== undefined) return undefined;
      try {
        const { size } = await stat(pathOf(id));
        return { text: size > maxBytes ? undefined : await readFile(pathOf(id), 'utf8') };
      } finally {
        await drop(id);
      }
    },
    async whenSettled(text, act) {
      const named: ReadonlySet<string> = new Set(text.match(/[0-9a-f]{64}/g));
      checked.add(named);
      try {
        await settled(text);
        return await act();
      } finally {
        checked.delete(named);
      }
    },
    abandon: async (id) => {
      if (uploads.has(id)) await drop(id);
    },
    async abandonAll() {
      await Promise.all([...uploads.keys()].map(drop));
    },
    expected: () =>
      new Set([
        ...[...uploads.values()].flatMap((upload) => upload.sha256 ?? []),
        ...[...checked].flatMap((named) => [...named]),
      ]),
  };
}
