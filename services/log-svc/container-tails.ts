// Source: the raw log files of containers (console and LXC's own log), followed by inotify.
import { type FSWatcher, watch } from 'node:fs';
import { dirname } from 'node:path';
import { performance } from 'node:perf_hooks';
import type { HealthReason } from '../../shared/schema/health.ts';
import type { Followed } from './cursor-store.ts';
import { type FileFollower, followFile } from './file-follower.ts';
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
  unreadable: string;
}

/** Changes within this time are read together. */
const BATCH_MS = 20;
/** For folders that could not be watched (inotify's limits, not there yet), and events that the kernel dropped. */
const SWEEP_MS = 5_000;

/** More than a device has; containers of revisions that are gone must not add up. */
const MAX_LEFT = 1_000;

/** `onRead` is called after every turn that read something, with all cursors; `say` with what is worth a line in our own log. */
export function createContainerTails(
  resumeFrom: Readonly<Record<string, Followed>>,
  onRead: (tails: Record<string, Followed>) => void,
  say: (line: string) => void,
  nowMs: () => number = () => performance.now(),
): ContainerTails {
  /** Places in files that are not followed now: they lie there still when their container is mounted again. */
  const left = new Map(Object.entries(resumeFrom));
  const tails = new Map<string, Tail>();
  const watchers = new Map<string, FSWatcher>();
  let sink: LogSink | undefined;
  let timer: NodeJS.Timeout | undefined;
  let sweep: NodeJS.Timeout | undefined;

  let changed = false;
  const save = (): void => {
    if (!changed) return;
    changed = false;
    const entries = [...tails].map(([path, { log, follower }]): [string, Followed] => {
      const cursor = follower.cursor();
      return [path, { ...log, ...(cursor === undefined ? {} : { cursor }) }];
    });
    onRead(Object.fromEntries([...left, ...entries]));
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
          // Now, not after the turn: a kill repeats this at most.
          save();
        },
        () => tellGap(tail, into, 'some of it may be missing here: it was rotated more than once between two looks'),
      );
      tail.unreadable = '';
      return more;
    } catch (error) {
      tail.unreadable = error instanceof Error ? error.message : String(error);
      return false;
    }
  };
  /** One turn of each, so that a container that floods its console does not hold up the others. */
  const readAll = (): boolean => {
    const into = sink;
    if (into === undefined) return false;
    const more = [...tails.values()].map((tail) => readTail(tail, into));
    save();
    return more.includes(true);
  };
  const schedule = (delayMs = BATCH_MS): void => {
    timer ??= setTimeout(() => {
      timer = undefined;
      if (readAll()) schedule(0);
    }, delayMs);
  };
  const watchFolder = (folder: string): void => {
    if (watchers.has(folder)) return;
    try {
      const watcher = watch(folder, { persistent: false }, () => schedule());
      watcher.on('error', () => forget(folder));
      watchers.set(folder, watcher);
    } catch {
      // The sweep tries again.
    }
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
    const folder = dirname(path);
    if (![...tails.keys()].some((other) => dirname(other) === folder)) forget(folder);
  };

  const tailsOf: ContainerTails = {
    start(to) {
      sink = to;
      for (const [path, { container, source }] of Object.entries(resumeFrom)) {
        tailsOf.follow({ container, source }, path);
      }
      sweep = setInterval(() => {
        for (const [path, tail] of tails) {
          watchFolder(dirname(path));
          tellLeftOut(tail, to, tail.limit.leftOut());
        }
        schedule();
      }, SWEEP_MS);
      schedule(0);
    },
    follow(log, path) {
      // Anew: the folder may be another one than the one that was watched under this name.
      forget(dirname(path));
      watchFolder(dirname(path));
      if (!tails.has(path)) {
        tails.set(path, {
          log,
          follower: followFile(path, left.get(path)?.cursor),
          limit: createFloodLimit(nowMs),
          unreadable: '',
        });
        left.delete(path);
        changed = true;
      }
      schedule(0);
    },
    unfollow(container) {
      for (const [path, tail] of tails) {
        if (tail.log.container !== container) continue;
        if (sink !== undefined) {
          while (readTail(tail, sink));
          tellLeftOut(tail, sink, tail.limit.close());
        }
        letGo(path, tail);
      }
      save();
    },
    containers: () => [...new Set([...tails.values()].map(({ log }) => log.container))],
    stop() {
      clearTimeout(timer);
      clearInterval(sweep);
      readAll();
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
