// Revisions as folders:
//   <storage>/trails/<rev>/.pvr/json       the state, byte for byte as it came
//   <storage>/trails/<rev>/.pv/progress    how far it has come; absent: it was never run
//   <storage>/trails/<rev>/.pv/commitmsg
//   <storage>/trails/<rev>/<path>          hard link to objects/<sha256>
// <rev> is a name or locals/<name>, and a folder: Pantavisor has a link to the one that runs beside them, trails/current. What is called .<name>.making is being made, .<name>.replaced has to
// make way for it; both with .<n> behind, where a damaged file keeps what has that name from being removed.
import { type Dirent, lstatSync, readdirSync, renameSync, type Stats, statSync } from 'node:fs';
import { link, lstat, readdir, readFile, rename, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { spareNames } from '../../shared/kernel/spare-name.ts';
import { errorCode, isDamaged } from '../../shared/kernel/system-error.ts';
import { readIfPresent } from '../../shared/kernel/text-if-there.ts';
import type { Logger } from '../../shared/log/logger.ts';
import { revisionName } from '../../shared/schema/names.ts';
import { MAX_COMMITMSG_BYTES, type StepProgress, type StepRow } from '../../shared/schema/steps.ts';
import { isoTime } from '../../shared/time/iso-time.ts';
import { ensureFolders, syncPath, writeAtomically } from './atomic-file.ts';
import { AS_IT_IS, type Ownership } from './ownership.ts';
import { isGood, parseProgress, progressAt, withoutLogs } from './step-progress.ts';
import { shortageOf } from './step-shortage.ts';

export interface StepStore {
  /** Finishes or takes back what was interrupted. Never rejects. */
  open(): Promise<void>;
  /** Names of all revisions that have a state, in alphabetical order, but for what cannot be looked at, which is told. */
  list(): Promise<readonly string[]>;
  /** What that was, when they were listed last: a revision, or all of `locals`. */
  unseen(): readonly string[];
  has(name: string): Promise<boolean>;
  /** Undefined when it is gone. */
  row(name: string): Promise<StepRow | undefined>;
  /** Of a new one where it cannot be read: what is only told to people keeps nobody from running it. Never rejects. */
  progress(name: string): Promise<StepProgress>;
  /** What cannot be written is told by `progress` until something is. */
  setProgress(name: string, progress: StepProgress): Promise<void>;
  /** What its folder takes and what there is, for people. `text`: of one whose state is not there yet. Never rejects. */
  shortage(name: string, text?: string): Promise<string>;
  /** `''` when there is none, or none that can be read. Never rejects. */
  commitMessage(name: string): Promise<string>;
  setCommitMessage(name: string, message: string): Promise<void>;
  stateText(name: string): Promise<string | undefined>;
  /** Epoch milliseconds of its arrival; undefined when it is gone. */
  arrivedMs(name: string): Promise<number | undefined>;
  /**
   * When how far it has come was written last; undefined: never, or that cannot be seen. Epoch milliseconds, but where the clock went back: of two
   * that were found good the later one has the later time, whatever the clock was then. Never rejects.
   */
  toldMs(name: string): Promise<number | undefined>;
  /**
   * All or nothing: a revision of that name is replaced. One at a time. Rejects with the system's error. `isFree` is asked when all of it is
   * written: false, and that is the answer, leaves what was there.
   */
  put(name: string, text: string, objects: ReadonlyMap<string, string>, isFree?: () => boolean): Promise<boolean>;
  /** Another state for a revision that stays bootable at any moment; its links are put right by whoever runs it. */
  replaceState(name: string, text: string): Promise<void>;
  /** Answers the bytes of what nothing else links to. Not while one is put. */
  remove(name: string): Promise<number>;
}

/** Some file systems have whole seconds. */
const LEAST_APART_MS = 1000;

const MAKING = 'making';
const REPLACED = 'replaced';

/** The name that every revision without a folder of its own is below. */
const LOCALS = 'locals';

export function openStepStore(storage: string, log: Logger, ownership: Ownership = AS_IT_IS): StepStore {
  const trails = join(storage, 'trails');
  const trail = (name: string): string => join(trails, name);
  const beside = (name: string, suffix: string): Promise<string> =>
    freeName(join(dirname(trail(name)), `.${basename(name)}.${suffix}`));
  const folders = [trails, join(trails, LOCALS)];
  /** Undefined: it is not there, or cannot be read, which is told. */
  const note = (name: string, file: 'progress' | 'commitmsg'): string | undefined => {
    try {
      return readIfPresent(join(trail(name), '.pv', file));
    } catch (error) {
      log.warn(`${file} of revision ${name} cannot be read: ${String(error)}`);
      return undefined;
    }
  };

  /** Name → why it cannot be looked at. */
  let unseen: ReadonlyMap<string, string> = new Map();
  /** Answers `otherwise` for what cannot be looked at. */
  const lookAt = async <T>(name: string, look: () => T | Promise<T>, otherwise: T, found: Map<string, string>) => {
    try {
      return await look();
    } catch (error) {
      found.set(name, String(error));
      if (unseen.get(name) !== String(error)) {
        const what =
          name === LOCALS ? 'no revision below locals/ is listed' : `revision ${name} is left out of the list`;
        log.warn(`${what}, as it cannot be looked at: ${String(error)}`);
      }
      return otherwise;
    }
  };

  /** Progress that a full or broken disk did not take: whoever asks is told it as long as this service lives. */
  const unwritten = new Map<string, StepProgress>();

  /** What is there, which is ours from then on. */
  const taken = async (path: string): Promise<Stats | undefined> => {
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found !== undefined) await ownership.take(path, found);
    return found;
  };

  /** The times of files are all that tells which one was found good last where that is lost otherwise. */
  const afterOthers = async (name: string): Promise<number> => {
    const names = [
      ...entriesIfThere(trails),
      ...entriesIfThere(join(trails, LOCALS)).map((each) => `${LOCALS}/${each}`),
    ];
    const others = names.filter((each) => each !== name && each !== LOCALS);
    const told = await Promise.all(others.map(store.toldMs));
    return Math.max(0, ...told.map((ms) => (ms ?? 0) + LEAST_APART_MS));
  };

  const store: StepStore = {
    async open() {
      for (const folder of folders) await takeBack(folder, log);
    },
    async list() {
      const found = new Map<string, string>();
      const listLocals = async () => {
        await taken(join(trails, LOCALS));
        return entries(join(trails, LOCALS));
      };
      const locals = await lookAt(LOCALS, listLocals, [], found);
      const names = [
        ...entries(trails).filter((name) => name !== LOCALS),
        ...locals.map((each) => `${LOCALS}/${each}`),
      ];
      const legal = names.filter((name) => revisionName.safeParse(name).success);
      const there = await Promise.all(legal.map((name) => lookAt(name, () => store.has(name), false, found)));
      unseen = found;
      return legal.filter((_, index) => there[index] === true).sort();
    },
    unseen: () => [...unseen.keys()],
    has: async (name) => revisionName.safeParse(name).success && (await store.arrivedMs(name)) !== undefined,
    async row(name) {
      const arrivedMs = await store.arrivedMs(name);
      if (arrivedMs === undefined) return undefined;
      return {
        name,
        date: isoTime(arrivedMs).replace(/\.\d+Z$/, 'Z'),
        commitmsg: await store.commitMessage(name),
        progress: withoutLogs(await store.progress(name)),
      };
    },
    async progress(name) {
      const known = unwritten.get(name);
      if (known !== undefined) return known;
      const text = note(name, 'progress');
      return (text === undefined ? undefined : parseProgress(text)) ?? progressAt('ready');
    },
    async setProgress(name, progress) {
      try {
        const notBeforeMs = isGood(progress) ? await afterOthers(name) : undefined;
        await writeAtomically(join(trail(name), '.pv/progress'), `${JSON.stringify(progress)}\n`, { notBeforeMs });
        unwritten.delete(name);
      } catch (error) {
        unwritten.set(name, progress);
        throw error;
      }
    },
    async shortage(name, text) {
      return shortageOf(trail(name), text ?? (await store.stateText(name).catch(() => undefined)));
    },
    async commitMessage(name) {
      return (note(name, 'commitmsg') ?? '').trimEnd().slice(0, MAX_COMMITMSG_BYTES);
    },
    setCommitMessage: (name, message) => writeAtomically(join(trail(name), '.pv/commitmsg'), message),
    // In a thread: whoever looks at those of hundreds of revisions would keep everybody else waiting for the disk.
    stateText: (name) =>
      readFile(join(trail(name), '.pvr/json'), 'utf8').catch((error: unknown) => {
        if (errorCode(error) !== 'ENOENT') throw error;
        return undefined;
      }),
    async arrivedMs(name) {
      try {
        await taken(dirname(trail(name)));
        if ((await taken(trail(name)))?.isDirectory() !== true) return undefined;
        return statSync(join(trail(name), '.pvr/json'), { throwIfNoEntry: false })?.mtimeMs;
      } catch (error) {
        if (errorCode(error) === 'ENOTDIR') return undefined;
        throw error;
      }
    },
    async toldMs(name) {
      return stat(join(trail(name), '.pv/progress')).then(
        ({ mtimeMs }) => mtimeMs,
        () => undefined,
      );
    },
    async put(name, text, objects, isFree = () => true) {
      try {
        await taken(dirname(trail(name)));
        // One of root's could be moved out of the way, and not be removed after that.
        await taken(trail(name));
        const fresh = await beside(name, MAKING);
        await makeCheckout(fresh, text, objects, join(storage, 'objects'));
        const old = await beside(name, REPLACED);
        if (!isFree()) return false;
        // In one go: nobody here finds none of that name, or begins with the one that goes.
        if (exists(trail(name))) renameSync(trail(name), old);
        renameSync(fresh, trail(name));
        unwritten.delete(name);
        await syncPath(dirname(trail(name)));
        return true;
      } finally {
        await takeBack(dirname(trail(name)), log);
      }
    },
    replaceState: (name, text) => writeAtomically(join(trail(name), '.pvr/json'), text),
    async remove(name) {
      const gone = await beside(name, MAKING);
      await rename(trail(name), gone);
      unwritten.delete(name);
      await syncPath(dirname(gone));
      const bytes = await ownBytes(gone);
      await removeAll(gone);
      return bytes;
    },
  };
  return store;
}

/** Where nothing is: what had that name is removed. Rejects with why it cannot be, where that is no damage. */
async function freeName(wanted: string): Promise<string> {
  for (const path of spareNames(wanted)) {
    try {
      await rm(path, { recursive: true, force: true });
      return path;
    } catch (error) {
      if (!isDamaged(error)) throw error;
    }
  }
  throw new Error(`${wanted} cannot be removed: check the file system of the storage (fsck)`);
}

/** What is half made is removed; what was to be replaced and was not comes back. What stays is told, and keeps nothing else. Never rejects. */
async function takeBack(folder: string, log: Logger): Promise<void> {
  const tell = (path: string, error: unknown): void => log.warn(`${path} was not tidied up: ${String(error)}`);
  try {
    // What was to be replaced last comes first.
    for (const name of [...entries(folder)].sort().reverse()) {
      await takeBackOne(folder, name).catch((error: unknown) => tell(join(folder, name), error));
    }
  } catch (error) {
    tell(folder, error);
  }
}

async function takeBackOne(folder: string, name: string): Promise<void> {
  // Others make theirs here as well: berth pack.
  const [, original, what] = /^\.(.+)\.(making|replaced)(?:\.\d)?$/.exec(name) ?? [];
  if (original === undefined) return;
  const isLost = what === REPLACED && !exists(join(folder, original));
  if (isLost) await rename(join(folder, name), join(folder, original));
  else await rm(join(folder, name), { recursive: true, force: true });
}

/** Whole and on disk when it resolves. */
async function makeCheckout(
  folder: string,
  text: string,
  objects: ReadonlyMap<string, string>,
  store: string,
): Promise<void> {
  const made = new Set([folder, join(folder, '.pvr'), join(folder, '.pv')]);
  for (const path of objects.keys()) {
    for (let parent = dirname(path); parent !== '.'; parent = dirname(parent)) made.add(join(folder, parent));
  }
  for (const each of [...made].sort()) await ensureFolders(each);
  for (const [path, digest] of objects) await link(join(store, digest), join(folder, path));
  const files = [
    ['.pvr/json', text],
    ['.pv/progress', `${JSON.stringify(progressAt('ready'))}\n`],
    ['.pv/commitmsg', ''],
  ] as const;
  for (const [path, content] of files) {
    await writeFile(join(folder, path), content);
    await syncPath(join(folder, path));
  }
  for (const each of made) await syncPath(each);
}

/** Sizes of files that have no other name. What cannot be looked at frees nothing. */
async function ownBytes(folder: string): Promise<number> {
  let bytes = 0;
  for (const path of await filesBelow(folder)) {
    const found = await lstat(path).catch(() => undefined);
    if (found?.nlink === 1) bytes += found.size;
  }
  return bytes;
}

/** Rejects with what the first one said that the disk does not give; all others are removed then. */
async function removeAll(folder: string): Promise<void> {
  // One after the other: an object is garbage only once no revision has it, and rm gives up at the first that it cannot remove.
  for (const path of await filesBelow(folder)) await unlink(path).catch(() => undefined);
  await rm(folder, { recursive: true, force: true });
}

/** But for those in folders that the disk does not give. */
async function filesBelow(folder: string): Promise<readonly string[]> {
  const files: string[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true }).catch(noneIfDamaged)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) files.push(...(await filesBelow(path)));
    else if (entry.isFile()) files.push(path);
  }
  return files;
}

function noneIfDamaged(error: unknown): readonly Dirent[] {
  if (!isDamaged(error)) throw error;
  return [];
}

function entries(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
}

/** Also none of what cannot be read. */
function entriesIfThere(folder: string): readonly string[] {
  try {
    return entries(folder);
  } catch {
    return [];
  }
}

function exists(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return false;
  }
}
