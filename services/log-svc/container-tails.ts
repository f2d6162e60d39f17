// Source: the raw log files of containers (console and LXC's own log), followed by inotify.
import { dirname } from 'node:path';
import { alignedInterval } from '../../shared/ipc/aligned-interval.ts';
import { type FolderWatch, watchFolder } from '../../shared/kernel/folder-watch.ts';
import type { ConsoleMemory } from './console-memory.ts';
import { type ContainerTail, createContainerTail } from './container-tail.ts';
import type { Followed } from './cursor-store.ts';
import { PAGE_BYTES, RELEASE_BYTES } from './file-follower.ts';
import type { ContainerLog, LogSink, LogSource } from './log-flow.ts';
import type { LxcLevel } from './lxc-level.ts';

export interface ContainerTails extends LogSource {
  /** Also called again for what is followed already. `path` is absolute. */
  follow(log: ContainerLog, path: string): void;
  /** Its files are complete: reads the rest, which may be gone from the folder already, and lets go. */
  unfollow(container: string): void;
  /** All containers whose files are followed. */
  containers(): readonly string[];
  /** Has all cursors saved as they are now, in the middle of a turn too. */
  keep(): void;
}

/** Changes of a console within this time are read together: people wait for it, and its memory is bounded. */
const CONSOLE_BATCH_MS = 20;
/** Of other files. LXC writes its log line by line, for most of the time that a start takes; a run that crashes at once takes longer. */
const BATCH_MS = 100;
/** For events that the kernel dropped. */
const SWEEP_MS = 5_000;

/** A kill repeats this much at most. */
const SAVE_BYTES = 32 * 1024;
/** Less than that is saved so much later, with what is read meanwhile: a start of many containers reads a little of a file every few ms. */
const SAVE_MS = 250;

/** More than a device has; containers of revisions that are gone must not add up. */
const MAX_LEFT = 1_000;

/**
 * `onRead` is called after some turns that read something, with all cursors, and answers whether they are kept for good; `say` with what
 * is worth a line in our own log. `memory`: that of consoles.
 * `lxcLevel`: the least that is kept of LXC's own logs.
 */
export function createContainerTails(
  resumeFrom: Readonly<Record<string, Followed>>,
  onRead: (tails: ReadonlyMap<string, Followed>) => boolean,
  say: (line: string) => void,
  memory: ConsoleMemory,
  lxcLevel: LxcLevel,
): ContainerTails {
  /** Places in files that are not followed now: they lie there still when their container is mounted again. */
  const left = new Map(Object.entries(resumeFrom));
  const tails = new Map<string, ContainerTail>();
  const watchers = new Map<string, FolderWatch>();
  /** Folders in which something changed, or may have. */
  const changedFolders = new Set<string>();
  let sink: LogSink | undefined;
  let timer: NodeJS.Timeout | undefined;
  let stopSweeping = (): void => undefined;
  let saver: NodeJS.Timeout | undefined;

  let changed = false;
  let unsavedBytes = 0;
  /** The cursors as they were saved last. */
  let areKept = false;
  const keep = (): void => {
    clearTimeout(saver);
    saver = undefined;
    changed = false;
    unsavedBytes = 0;
    const entries = [...tails].map(([path, tail]): [string, Followed] => {
      const cursor = tail.cursor();
      tail.savedInode = cursor?.inode;
      return [path, { ...tail.log, ...(cursor === undefined ? {} : { cursor }) }];
    });
    areKept = onRead(new Map([...left, ...entries]));
  };
  const save = (): void => {
    if (!changed) return;
    keep();
    for (const tail of tails.values()) release(tail, RELEASE_BYTES);
  };
  /** Of another file at once: the one before it goes with the next rotation, and nothing is known of one without a cursor. */
  const saveSoon = (read: readonly ContainerTail[]): void => {
    if (read.some((tail) => tail.cursor()?.inode !== tail.savedInode)) save();
    else if (changed) saver ??= setTimeout(save, SAVE_MS);
  };
  /** Whoever says something while nothing is free loses it, and nothing else tells. */
  const lookForRoom = (): boolean => {
    if (!memory.isUsedUp()) return true;
    for (const tail of tails.values()) if (tail.missesMemory()) lookAt(tail.folder);
    return false;
  };
  const release = (tail: ContainerTail, minBytes: number): void => {
    if (areKept) tail.release(minBytes, lookForRoom);
  };
  const readTail = (tail: ContainerTail, into: LogSink): boolean =>
    tail.turn(into, (keptBytes) => {
      changed = true;
      unsavedBytes += keptBytes;
      if (unsavedBytes >= SAVE_BYTES) save();
    });
  /** One turn of each that changed, so that a container that floods its console does not hold up the others. */
  const readChanged = (): boolean => {
    const into = sink;
    if (into === undefined) return false;
    const due = [...tails.values()].filter(({ folder }) => changedFolders.has(folder));
    changedFolders.clear();
    for (const tail of due) if (readTail(tail, into)) changedFolders.add(tail.folder);
    saveSoon(due);
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
  const watchTailsIn = (folder: string, batchMs: number): void => {
    if (!watchers.has(folder))
      watchers.set(
        folder,
        watchFolder(folder, batchMs, () => lookAt(folder)),
      );
  };
  const forget = (folder: string): void => {
    watchers.get(folder)?.close();
    watchers.delete(folder);
  };
  const letGo = (path: string, tail: ContainerTail): void => {
    const cursor = tail.cursor();
    tail.close();
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
      stopSweeping = alignedInterval(SWEEP_MS, () => {
        const mustFree = !lookForRoom();
        for (const tail of tails.values()) {
          release(tail, mustFree ? PAGE_BYTES : RELEASE_BYTES);
          tail.tellLeftOut(to);
          lookAt(tail.folder);
        }
      });
      // Those that were named before there was anywhere to put what they say.
      for (const { folder } of tails.values()) lookAt(folder);
    },
    follow(log, path) {
      const folder = dirname(path);
      // Anew: the folder may be another one than the one that was watched under this name.
      if (tails.has(path)) forget(folder);
      watchTailsIn(folder, log.source === 'console' ? CONSOLE_BATCH_MS : BATCH_MS);
      if (!tails.has(path)) {
        tails.set(
          path,
          createContainerTail(log, path, left.get(path)?.cursor, {
            memory,
            lxcLevel,
            nowMs: () => performance.now(),
            say,
          }),
        );
        left.delete(path);
        changed = true;
      }
      lookAt(folder);
    },
    unfollow(container) {
      const its = [...tails].filter(([, { log }]) => log.container === container);
      if (sink !== undefined) {
        for (const [, tail] of its) {
          while (readTail(tail, sink));
          tail.tellLeftOut(sink, true);
        }
        save();
        for (const [, tail] of its) release(tail, PAGE_BYTES);
      }
      for (const [path, tail] of its) letGo(path, tail);
      saveSoon([]);
    },
    keep,
    containers: () => [...new Set([...tails.values()].map(({ log }) => log.container))],
    stop() {
      clearTimeout(timer);
      stopSweeping();
      for (const { folder } of tails.values()) changedFolders.add(folder);
      readChanged();
      save();
      for (const watcher of watchers.values()) watcher.close();
      for (const [path, tail] of tails) {
        if (sink !== undefined) tail.tellLeftOut(sink, true);
        letGo(path, tail);
      }
    },
    troubles: () => [...tails.values()].flatMap((tail) => tail.troubles()),
  };
  return tailsOf;
}
