// Follows the files of running containers: once a second, since inotify does not reach into another mount namespace by path, and what is
// missing there cannot be watched at all.
import { closeSync, readlinkSync } from 'node:fs';
import { alignedTimeout } from '../../shared/ipc/aligned-interval.ts';
import { openRoot } from '../../shared/kernel/open-inside.ts';
import { reasonOf } from '../../shared/kernel/system-error.ts';
import type { Logger } from '../../shared/log/logger.ts';
import type { ContainerLogFile } from '../../shared/schema/logs.ts';
import { type ContainerRoot, outsideRoot, seeInside } from './container-file.ts';
import { createFileTail, type FileTail } from './file-tail.ts';
import type { LookGuard } from './look-guard.ts';
import { containerPlaces, type Places } from './places.ts';
import { isAlive } from './process-table.ts';
import { openRawLog } from './raw-log.ts';
import { readTailRecord, writeTailRecord } from './record-store.ts';
import { type FindOnHost, hostMountsOf, runningRoot } from './running-root.ts';
import { fileLogs } from './tailed-files.ts';

export interface FileTails {
  /** Before it starts: what is in its files now is not of this run. */
  prepare(container: string): void;
  /** From now on, while this process is its init. Also without `prepare`. */
  follow(container: string, init: Init): void;
  /** It has ended: what is left is read. Also when it was never followed. */
  finish(container: string): void;
}

export interface Init {
  readonly pid: number;
  readonly startTicks: number | undefined;
  /** Wall clock. */
  readonly startedMs: number;
}

export interface FileTailsOptions {
  readonly places: Places;
  readonly readerGid: number | undefined;
  readonly log: Logger;
  readonly guard: LookGuard;
  /** What its run.json says; empty when nothing of it is mounted. */
  readonly filesOf: (container: string) => readonly ContainerLogFile[];
}

/** A look at a container whose files do not change is a dozen system calls. */
const LOOK_MS = 1_000;
/** While one of them has more than a look takes. */
const BUSY_LOOK_MS = 250;

/** How far the time of a process's start and that of a file may be off, both counted in ticks. */
const CLOCK_MS = 100;

const NOT_AGAIN =
  'whoever looked at them had to wait until it was killed, twice; they are looked at again when the container is started again';

interface Followed {
  readonly files: readonly ContainerLogFile[];
  /** Of the files in which something was found, by their numbers: most containers have none of theirs. */
  readonly tails: (FileTail | undefined)[];
  readonly newSinceMs: number;
  readonly findOnHost: FindOnHost;
  init: Init | undefined;
  trouble: string;
}

export function createFileTails({ places, readerGid, log, guard, filesOf }: FileTailsOptions): FileTails {
  const followed = new Map<string, Followed>();
  let timer: NodeJS.Timeout | undefined;

  const open = (container: string, file: ContainerLogFile, rawPath: string, newSinceMs: number): FileTail => {
    const { tailRecord } = containerPlaces(places, container);
    return createFileTail({
      file,
      raw: openRawLog(rawPath, readerGid),
      place: readTailRecord(tailRecord)[file.path],
      newSinceMs,
      onPlace: (place) => writeTailRecord(tailRecord, { ...readTailRecord(tailRecord), [file.path]: place }),
      say: (text) => log.warn(`${container}: ${text}`),
    });
  };
  /** Numbers of the files in which there is something to look at. */
  const present = ({ files, tails }: Followed, root: ContainerRoot): number[] =>
    files.flatMap(({ path }, index) => {
      const isIdle = tails[index]?.isIdle(root) ?? seeInside(root, path).kind === 'missing';
      return isIdle ? [] : [index];
    });
  const tailsAt = (container: string, { files, tails, newSinceMs }: Followed, numbers: readonly number[]): FileTail[] =>
    fileLogs(containerPlaces(places, container), files).flatMap(({ path: rawPath }, index) => {
      const file = files[index];
      if (file === undefined || !numbers.includes(index)) return [];
      const tail = tails[index] ?? open(container, file, rawPath, newSinceMs);
      tails[index] = tail;
      return [tail];
    });
  /** Whatever goes wrong costs the container its files' lines, never its start or its end. */
  const attempt = (container: string, action: () => void): void => {
    const its = followed.get(container);
    try {
      action();
      if (its !== undefined) its.trouble = '';
    } catch (error) {
      const trouble = reasonOf(error);
      if (its?.trouble !== trouble) log.error(`${container}: its log files are not followed: ${trouble}`);
      if (its !== undefined) its.trouble = trouble;
    }
  };
  const usingRoot = <T>(path: string, use: (rootFd: number) => T): T => {
    const root = openRoot(path);
    try {
      return use(root);
    } finally {
      closeSync(root);
    }
  };
  const lookAt = (container: string, its: Followed): boolean => {
    const { init } = its;
    if (init === undefined) return false;
    const { pid, startTicks } = init;
    if (!guard.allows(container, init)) throw new Error(NOT_AGAIN);
    try {
      const path = `/proc/${pid}/root`;
      // Merely opening what it has chosen could wait for an answer (9p).
      if (readlinkSync(path) !== '/') throw new Error('its init has another root than it was given');
      const look = (rootFd: number): boolean => {
        const isOpenIn = (mount: number): boolean => its.tails.some((tail) => tail?.isIn(mount) === true);
        const root = runningRoot({ rootFd, pid, findOnHost: its.findOnHost, isOpenIn });
        const due = present(its, root);
        // Not before: the number may be somebody else's meanwhile. Of a container that has none of its files it is not asked.
        if (due.length === 0 || !isAlive(pid, startTicks)) return false;
        const looks = tailsAt(container, its, due).map((tail) => tail.look(root));
        return looks.includes(true);
      };
      return guard.during(container, { pid, startTicks }, () => usingRoot(path, look));
    } catch (error) {
      if (isOver(its)) return false;
      throw error;
    }
  };
  const lookAtAll = (): void => {
    timer = undefined;
    let isBusy = false;
    for (const [container, its] of followed) {
      attempt(container, () => (isBusy = lookAt(container, its) || isBusy));
    }
    schedule(isBusy ? BUSY_LOOK_MS : LOOK_MS);
  };
  const schedule = (delayMs: number): void => {
    if (followed.size === 0) return;
    timer ??= alignedTimeout(delayMs, lookAtAll);
    // The service lives by its channel.
    timer.unref();
  };
  const ensure = (container: string, newSinceMs: number): void => {
    if (followed.has(container)) return;
    const files = filesOf(container);
    if (files.length === 0) return;
    const { rootfs, volumes } = containerPlaces(places, container);
    const findOnHost = hostMountsOf([rootfs, volumes]);
    followed.set(container, { files, tails: [], newSinceMs, findOnHost, init: undefined, trouble: '' });
  };
  const usingRootfs = (container: string, use: (root: ContainerRoot) => void): void =>
    usingRoot(containerPlaces(places, container).rootfs, (rootFd) => use(outsideRoot(rootFd)));

  return {
    prepare(container) {
      attempt(container, () => {
        ensure(container, Date.now());
        const its = followed.get(container);
        if (its === undefined) return;
        usingRootfs(container, (root) => {
          for (const tail of tailsAt(container, its, present(its, root))) tail.skipPresent(root);
        });
      });
    },
    follow(container, init) {
      attempt(container, () => ensure(container, init.startedMs - CLOCK_MS));
      const its = followed.get(container);
      if (its === undefined) return;
      its.init = init;
      schedule(LOOK_MS);
    },
    finish(container) {
      const its = followed.get(container);
      if (its === undefined) return;
      // Whoever has others wait for its files may have outlived it, in another container.
      if (its.init === undefined || guard.allows(container, its.init))
        attempt(container, () =>
          usingRootfs(container, (root) => {
            for (const tail of tailsAt(container, its, present(its, root))) tail.finish(root);
          }),
        );
      followed.delete(container);
      for (const tail of its.tails) tail?.close();
    },
  };
}

/** Its end is about to be told. */
function isOver({ init }: Followed): boolean {
  return init === undefined || !isAlive(init.pid, init.startTicks);
}
