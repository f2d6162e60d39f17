// The raw log files that LXC writes: made before LXC opens them, so that the log service may read them, and bounded.
import {
  chmodSync,
  chownSync,
  closeSync,
  mkdirSync,
  openSync,
  renameSync,
  type Stats,
  statSync,
  truncateSync,
} from 'node:fs';
import { type FolderWatch, watchFolder } from '../../shared/kernel/folder-watch.ts';
import type { ContainerPlaces } from './places.ts';

/** Root writes, the log service's group reads. */
const LOG_MODE = 0o640;
/** A run's LXC log is a few KiB, unless something makes LXC talk. */
const MAX_LXC_LOG_BYTES = 512 * 1024;

export interface LogFile {
  readonly source: 'console' | 'lxc';
  readonly path: string;
}

export function logFiles(places: ContainerPlaces): LogFile[] {
  return [
    { source: 'console', path: places.consoleLog },
    { source: 'lxc', path: places.lxcLog },
  ];
}

/** Creates what is missing and gives it to the readers. `readerGid`: of the log service, whose group has the number of its user. */
export function openLogFiles(places: ContainerPlaces, readerGid: number | undefined): void {
  mkdirSync(places.logs, { recursive: true, mode: 0o755 });
  for (const { path } of logFiles(places)) {
    closeSync(openSync(path, 'a', LOG_MODE));
    giveToReader(path, readerGid);
  }
}

function giveToReader(path: string, gid: number | undefined): void {
  chmodSync(path, LOG_MODE);
  if (gid !== undefined) chownSync(path, 0, gid);
}

/** Each run has an LXC log of its own, so that what it says about a pid is about this run's. */
export function rotateLxcLog(places: ContainerPlaces, readerGid: number | undefined): void {
  if ((found(places.lxcLog)?.size ?? 0) > 0) {
    renameSync(places.lxcLog, `${places.lxcLog}.1`);
  }
  openLogFiles(places, readerGid);
}

/** LXC writes its log line by line, a hundred of them a start, and each of them would wake us. */
const LOOK_MS = 20;

/** LXC makes the console's next file for root alone when it rotates: opens it to the readers. Also bounds LXC's own log. */
export function watchLogFiles(places: ContainerPlaces, readerGid: number | undefined): FolderWatch {
  const look = (): void => {
    try {
      const console = found(places.consoleLog);
      if (console !== undefined && (console.mode & 0o777) !== LOG_MODE) giveToReader(places.consoleLog, readerGid);
      // LXC appends, so it goes on at the new end.
      if ((found(places.lxcLog)?.size ?? 0) > MAX_LXC_LOG_BYTES) truncateSync(places.lxcLog);
    } catch {
      // Between its old name and its new one: the next event is about the new file.
    }
  };
  return watchFolder(places.logs, LOOK_MS, look);
}

function found(path: string): Stats | undefined {
  return statSync(path, { throwIfNoEntry: false });
}
