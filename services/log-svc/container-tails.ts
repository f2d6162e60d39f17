// Source: the raw log files of containers (console and LXC's own log), followed by inotify.
import { dirname } from 'node:path';
import { performance } from 'node:perf_hooks';
import { type FolderWatch, watchFolder } from '../../shared/kernel/folder-watch.ts';
import type { HealthReason } from '../../shared/schema/health.ts';
import type { ConsoleMemory } from './console-memory.ts';
import type { Followed } from './cursor-store.ts';
import { type FileFollower, followFile, PAGE_BYTES, RELEASE_BYTES } from './file-follower.ts';
import { createFloodLimit, FLOOD_RATE_BYTES, type FloodLimit } from './flood-limit.ts';
import type { ContainerLog, LogSink, LogSource } from './log-flow.ts';

export interface ContainerTails extends LogSource {
  /** Also called again for what is followed already. `path` is absolute. */
  follow(log: ContainerLog, path: string): void;
  /** Its files are complete: reads the rest, which may be gone from the folder already, and lets go. */
  unfollow(container: string): void;
  /** All containers whose files are followed. */
  containers(): readonly string[];
}

interface Tail {
  readonly log: ContainerLog;
  readonly follower: FileFollower;
  readonly limit: FloodLimit;
  readonly folder: string;
  unreadable: string;
  /** There was no memory for what it says now. */
  mayMiss: boolean;
  /** Its memory is not ours to give back. */
  keepsMemory: boolean;
}

/** Changes within this time are read together. */
const BATCH_MS = 20;
/** For events that the kernel dropped. */
const SWEEP_MS = 5_000;

/** A kill repeats this much at most, beside what one turn reads of files that say little. */
const SAVE_BYTES = 32 * 1024;

/** More than a device has; containers of revisions that are gone must not add up. */
const MAX_LEFT = 1_000;

/**
 * `onRead` is called after every turn that read something, with all cursors, and answers whether they are kept for good; `say` with what
 * is worth a line in our own log. `memory`: that of consoles.
 */
export function createContainerTails(
  resumeFrom: Readonly<Record<string, Followed>>,
  onRead: (tails: Record<string, Followed>) => boolean,
  say: (line: string) => void,
  memory: ConsoleMemory,
  nowMs: () => number = () => performance.now(),
): ContainerTails {
  /** Places in files that are not followed now: they lie there still when their container is mounted again. */
  const left = new Map(Object.entries(resumeFrom));
  const tails = new Map<string, Tail>();
  const watchers = new Map<string, FolderWatch>();
  /** Folders in which something changed, or may have. */
  const changedFolders = new Set<string>();
  let sink: LogSink | undefined;
  let timer: NodeJS.Timeout | undefined;
  let sweep: NodeJS.Timeout | undefined;

  let changed = false;
  let unsavedBytes = 0;
  /** The cursors as they were saved last. */
  let areKept = false;
  const save = (): void => {
    if (!changed) return;
    changed = false;
    unsavedBytes = 0;
    const entries = [...tails].map(([path, { log, follower }]): [string, Followed] => {
      const cursor = follower.cursor();
      return [path, { ...log, ...(cursor === undefined ? {} : { cursor }) }];
    });
    areKept = onRead(Object.fromEntries([...left, ...entries]));
    for (const tail of tails.values()) release(tail, RELEASE_BYTES);
  };
  /** Whoever says something while nothing is free loses it, and nothing else tells. */
  const lookForRoom = (): boolean => {
    if (!memory.isUsedUp()) return true;
    for (const tail of tails.values()) {
      if (tail.log.source !== 'console' || tail.mayMiss || tail.follower.isQuiet()) continue;
      tail.mayMiss = true;
      lookAt(tail.folder);
    }
    return false;
  };
  const release = (tail: Tail, minBytes: number): void => {
    if (tail.log.source !== 'console' || tail.keepsMemory || !areKept) return;
    try {
      tail.follower.release(minBytes, (fd, from, to) => {
        lookForRoom();
        return memory.free(fd, from, to);
      });
    } catch (error) {
      tail.keepsMemory = true;
      // Where LXC rotates it still (a container that a build before this one started), it is not ours to write.
      if (!(error instanceof Error && 'code' in error && error.code === 'EACCES'))
        say(`${tail.log.container}: what is read of its console stays in memory: ${String(error)}`);
    }
  };
  /** In the log itself, where it is missing, and in ours. */
  const tellGap = ({ log }: Tail, into: LogSink, what: string): void => {
    into.bytes(log, Buffer.from(`\n[${what}]\n`));
    say(`${log.container}, ${log.source}: ${what}`);
  };
  const tellLeftOut = (tail: Tail, into: LogSink, bytes: number | undefined): void => {
    if (bytes === undefined) return;
    tellGap(tail, into, `${bytes} bytes left out here: it writes more than ${FLOOD_RATE_BYTES / 1024} KiB a second`);
  };
  const readTail = (tail: Tail, into: LogSink): boolean => {
    try {
      const more = tail.follower.turn(
        (bytes) => {
          changed = true;
          tellLeftOut(tail, into, tail.limit.leftOut());
          if (!tail.limit.take(bytes.length)) return;
          into.bytes(tail.log, bytes);
          unsavedBytes += bytes.length;
          if (unsavedBytes >= SAVE_BYTES) save();
        },
        () => tellGap(tail, into, 'some of it may be missing here: it was rotated more than once between two looks'),
      );
      tail.unreadable = '';
      if (!more && tail.mayMiss) {
        tail.mayMiss = false;
        tellGap(
          tail,
          into,
          'some of it may be missing here: it was not read fast enough, and the memory for consoles was full',
        );
      }
      return more;
    } catch (error) {
      tail.unreadable = error instanceof Error ? error.message : String(error);
      return false;
    }
  };
  /** One turn of each that changed, so that a container that floods its console does not hold up the others. */
  const readChanged = (): boolean => {
    const into = sink;
    if (into === undefined) return false;
    const due = [...tails.values()].filter(({ folder }) => changedFolders.has(folder));
    changedFolders.clear();
    for (const tail of due) if (readTail(tail, into)) changedFolders.add(tail.folder);
    save();
    return changedFolders.size > 0;
  };
  const schedule = (): void => {
    timer ??= setTimeout(() => {
      timer = undefined;
      if (readChanged()) schedule();
    }, 0);
  };
  const lookAt = (folder: string): void => {
    changedFolders.add(folder);
    schedule();
  };
  const watchTailsIn = (folder: string): void => {
    if (!watchers.has(folder))
      watchers.set(
        folder,
        watchFolder(folder, BATCH_MS, () => lookAt(folder)),
      );
  };
  const forget = (folder: string): void => {
    watchers.get(folder)?.close();
    watchers.delete(folder);
  };
  const letGo = (path: string, tail: Tail): void => {
    const cursor = tail.follower.cursor();
    tail.follower.close();
    if (cursor !== undefined) left.set(path, { ...tail.log, cursor });
    for (const oldest of left.keys()) if (left.size > MAX_LEFT) left.delete(oldest);
    tails.delete(path);
    changed = true;
    if (![...tails.values()].some(({ folder }) => folder === tail.folder)) forget(tail.folder);
  };

  const tailsOf: ContainerTails = {
    start(to) {
      sink = to;
      for (const [path, { container, source }] of Object.entries(resumeFrom)) {
        tailsOf.follow({ container, source }, path);
      }
      sweep = setInterval(() => {
        const mustFree = !lookForRoom();
        for (const tail of tails.values()) {
          release(tail, mustFree ? PAGE_BYTES : RELEASE_BYTES);
          tellLeftOut(tail, to, tail.limit.leftOut());
          lookAt(tail.folder);
        }
      }, SWEEP_MS);
      // Those that were named before there was anywhere to put what they say.
      for (const { folder } of tails.values()) lookAt(folder);
    },
    follow(log, path) {
      const folder = dirname(path);
      // Anew: the folder may be another one than the one that was watched under this name.
      if (tails.has(path)) forget(folder);
      watchTailsIn(folder);
      if (!tails.has(path)) {
        tails.set(path, {
          ...{ log, folder },
          follower: followFile(path, left.get(path)?.cursor),
          limit: createFloodLimit(nowMs),
          ...{ unreadable: '', mayMiss: false, keepsMemory: false },
        });
        left.delete(path);
        changed = true;
      }
      lookAt(folder);
    },
    unfollow(container) {
      for (const [path, tail] of tails) {
        if (tail.log.container !== container) continue;
        if (sink !== undefined) {
          while (readTail(tail, sink));
          tellLeftOut(tail, sink, tail.limit.close());
          save();
          release(tail, PAGE_BYTES);
        }
        letGo(path, tail);
      }
      save();
    },
    containers: () => [...new Set([...tails.values()].map(({ log }) => log.container))],
    stop() {
      clearTimeout(timer);
      clearInterval(sweep);
      for (const { folder } of tails.values()) changedFolders.add(folder);
      readChanged();
      for (const { close } of watchers.values()) close();
      for (const [path, tail] of tails) {
        if (sink !== undefined) tellLeftOut(tail, sink, tail.limit.close());
        letGo(path, tail);
      }
    },
    troubles: () => [...tails].flatMap(([path, tail]) => unreadable(path, tail)),
  };
  return tailsOf;
}

function unreadable(path: string, tail: Tail): HealthReason[] {
  if (tail.unreadable === '') return [];
  const message = `${path} cannot be read, so the log of ${tail.log.container} is not kept: ${tail.unreadable}`;
  return [{ code: 'LOG_UNREADABLE', subject: path, message }];
}
