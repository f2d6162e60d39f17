// The raw log files that LXC writes: made before LXC opens them, so that the log service may read them, and bounded.
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  renameSync,
  type Stats,
  statSync,
  truncateSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { type FolderWatch, watchFolder } from '../../shared/kernel/folder-watch.ts';
import type { ContainerPlaces } from './places.ts';

/** Root writes, the log service's group reads. */
const LOG_MODE = 0o640;
/** Also what gives back the memory of what it has read. */
const CONSOLE_MODE = 0o660;
/** A run's LXC log is a few KiB, unless something makes LXC talk. */
const MAX_LXC_LOG_BYTES = 512 * 1024;

export interface LogFile {
  readonly source: 'console' | 'lxc';
  readonly path: string;
}

export function logFiles(places: ContainerPlaces): LogFile[] {
  const { consoleLog, rotatedConsoleLog, lxcLog } = places;
  const consoles = existsSync(rotatedConsoleLog) ? [consoleLog, rotatedConsoleLog] : [consoleLog];
  return [...consoles.map((path) => ({ source: 'console' as const, path })), { source: 'lxc', path: lxcLog }];
}

/** Creates what is missing and gives it to the readers. `readerGid`: of the log service, whose group has the number of its user. */
export function openLogFiles(places: ContainerPlaces, readerGid: number | undefined): void {
  for (const { path } of logFiles(places)) {
    const mode = path === places.consoleLog ? CONSOLE_MODE : LOG_MODE;
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    closeSync(openSync(path, 'a', mode));
    giveToReader(path, mode, readerGid);
  }
}

function giveToReader(path: string, mode: number, gid: number | undefined): void {
  chmodSync(path, mode);
  if (gid !== undefined) chownSync(path, 0, gid);
}

/** Each run has an LXC log of its own, so that what it says about a pid is about this run's. */
export function rotateLxcLog(places: ContainerPlaces, readerGid: number | undefined): void {
  const present = found(places.lxcLog);
  // The first run after a mount, which has just made them.
  if (present?.size === 0 && existsSync(places.consoleLog)) return;
  if (present !== undefined && present.size > 0) renameSync(places.lxcLog, `${places.lxcLog}.1`);
  openLogFiles(places, readerGid);
}

/** LXC writes its log line by line, a hundred of them a start, and each of them would wake us. */
const LOOK_MS = 1_000;
/** Where a build before this one let LXC rotate the console's: the log service waits for it. */
const ROTATED_LOOK_MS = 250;

/**
 * Bounds LXC's own log. Where a build before this one let LXC rotate the console's, LXC makes the next file for root alone: opens it to
 * the readers.
 */
export function watchLogFiles(
  { logs, rotatedConsoleLog: path, lxcLog }: ContainerPlaces,
  readerGid: number | undefined,
): FolderWatch {
  const look = (): void => {
    try {
      const console = found(path);
      if (console !== undefined && (console.mode & 0o777) !== LOG_MODE) giveToReader(path, LOG_MODE, readerGid);
      // LXC appends, so it goes on at the new end.
      if ((found(lxcLog)?.size ?? 0) > MAX_LXC_LOG_BYTES) truncateSync(lxcLog);
    } catch {
      // Between its old name and its new one: the next event is about the new file.
    }
  };
  return watchFolder(logs, existsSync(path) ? ROTATED_LOOK_MS : LOOK_MS, look);
}

function found(path: string): Stats | undefined {
  return statSync(path, { throwIfNoEntry: false });
}
