// A raw log that lxc-svc itself writes for the log service: appended to, and renamed to `.1` at a size, when the next one, `.new`, is there.
import { closeSync, fchmodSync, fchownSync, fstatSync, openSync, renameSync, statSync, writeSync } from 'node:fs';
import { errorCode } from '../../shared/kernel/system-error.ts';

/** Both generations of it lie in a tmpfs. */
export const MAX_RAW_BYTES = 256 * 1024;
const LOG_MODE = 0o640;

export interface RawLog {
  readonly inode: number;
  readonly bytes: number;
}

export interface RawWriter {
  /** The file that is appended to, and how long it is. */
  state(): RawLog;
  /** The older generation; undefined: there is none. */
  older(): RawLog | undefined;
  /** Answers how many were written: fewer where there is no room. */
  append(bytes: Buffer): number;
  /** Makes room for `bytes` more; true: by starting a new file. */
  makeRoom(bytes: number): boolean;
  close(): void;
}

/** Throws what the file system throws. */
export function openRawLog(path: string, readerGid: number | undefined): RawWriter {
  const open = (at: string): number => {
    const opened = openSync(at, 'a', LOG_MODE);
    try {
      fchmodSync(opened, LOG_MODE);
      if (readerGid !== undefined) fchownSync(opened, 0, readerGid);
      return opened;
    } catch (error) {
      closeSync(opened);
      throw error;
    }
  };
  let fd = open(path);
  const state = (): RawLog => {
    const { ino, size } = fstatSync(fd);
    return { inode: ino, bytes: size };
  };
  return {
    state,
    older() {
      const stat = statSync(`${path}.1`, { throwIfNoEntry: false });
      return stat === undefined ? undefined : { inode: stat.ino, bytes: stat.size };
    },
    append(bytes) {
      try {
        return writeSync(fd, bytes);
      } catch (error) {
        if (errorCode(error) === 'ENOSPC') return 0;
        throw error;
      }
    },
    makeRoom(bytes) {
      const { bytes: present } = state();
      if (present === 0 || present + bytes <= MAX_RAW_BYTES) return false;
      // Before the one that is written goes: there may be no room for it.
      const next = open(`${path}.new`);
      renameSync(path, `${path}.1`);
      renameSync(`${path}.new`, path);
      closeSync(fd);
      fd = next;
      return true;
    },
    close: () => closeSync(fd),
  };
}
