// The folder that file outputs share: a folder per revision, the link to the running one, open files, rotation and budget.
//
// <storage>/logs/current              → <rev>
// <storage>/logs/<rev>/…/<file>       being written
// <storage>/logs/<rev>/…/<file>.000001.gz   rotated and compressed; without .gz until it is
import { accessSync, constants, mkdirSync, readdirSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { whyUnwritten } from '../../shared/kernel/system-error.ts';
import type { HealthReason } from '../../shared/schema/health.ts';
import { type BoundedFile, createBoundedFile, type Loss } from './bounded-file.ts';
import type { WrittenPlace } from './carried-bytes.ts';
import { CURRENT, writeCurrent } from './current-link.ts';
import { moveFormer, placesNow } from './former-places.ts';
import { holdsLines } from './line-files.ts';
import type { Opened } from './log-flow.ts';
import { createRetention, type RetentionSettings } from './retention.ts';

export interface FolderListener {
  onLoss(path: string, reason: string): void;
  onRecovered(path: string, loss: Loss): void;
  /** Worth a line in the log. */
  onNote(line: string): void;
  /** A file will be appended to whose place was never saved: what `written` answers now is to be saved before. */
  onBegin(): void;
}

export interface LogFolder {
  openRevision(revision: string): Opened;
  /** Below the running revision's folder; dropped while none is known. Lines, where the file holds lines (line-files.ts). */
  append(file: string, bytes: Buffer): void;
  /** As `append`, of what a container wrote, as it is. Lines that are for the same file go into one beside it from then on. */
  carry(file: string, bytes: Buffer): void;
  /** What lies in this folder, below the running revision's. */
  names(folder: string): readonly string[];
  /** Up to where the files are what was appended, of those that hold bytes; by path below the folder. To be saved with what was read. */
  written(): Readonly<Record<string, WrittenPlace>>;
  refresh(): void;
  troubles(): readonly HealthReason[];
  close(): void;
}

export interface FolderOptions {
  /** <storage>/logs */
  readonly root: string;
  readonly retention: RetentionSettings;
  readonly compressWorker: string | undefined;
  /** What LogFolder.written answered in an earlier life. */
  readonly written: Readonly<Record<string, WrittenPlace>>;
  readonly listener: FolderListener;
  readonly nowMs?: () => number;
}

export function openLogFolder({
  root,
  retention: settings,
  compressWorker,
  written,
  listener,
  nowMs = () => performance.now(),
}: FolderOptions): LogFolder {
  let revision: string | undefined;
  let linkTrouble = '';
  /** Written to since the budget was looked at. */
  let isChanged = true;
  const files = new Map<string, BoundedFile>();
  /** By path below the folder, as places are saved. */
  const begin = join(root, '/');
  const nameOf = (path: string): string => path.slice(begin.length);
  /** Of files that are not in `files` yet. */
  const left = placesNow(written);
  /** Those of `carry`, and of places that were saved, by path below the folder. */
  let carried = new Set(left.keys());
  // Before anything looks for rotated files.
  moveFormer(root, listener.onNote);
  const retention = createRetention({
    root,
    settings,
    workerPath: compressWorker,
    revision: () => revision,
    rotate: (path) => fileOf(path).rotate(),
    say: listener.onNote,
  });
  const fileOf = (path: string): BoundedFile => {
    const known = files.get(path);
    if (known !== undefined) return known;
    const name = nameOf(path);
    const ofLines = holdsLines(name.slice(`${revision}/`.length)) && !carried.has(name);
    const content = ofLines ? ({ kind: 'lines' } as const) : ({ kind: 'bytes', place: left.get(name) } as const);
    left.delete(name);
    const file = createBoundedFile(path, content, retention.maxFileBytes, nowMs, {
      ...listener,
      onRotated: retention.onRotated,
      onRecovered(back, loss) {
        // The line that says so must not be what is dropped next.
        for (const other of files.values()) other.retryNow();
        listener.onRecovered(back, loss);
      },
      onLoss(lost, reason) {
        listener.onLoss(lost, reason);
        // What can be removed makes room.
        setImmediate(retention.check);
      },
    });
    files.set(path, file);
    return file;
  };
  const releaseAll = (): void => {
    for (const file of files.values()) file.release();
  };
  const link = (to: string): Opened => {
    try {
      if (to === CURRENT) throw new Error('this name belongs to the link; the revision needs another one');
      const folder = join(root, to, 'pantavisor');
      mkdirSync(folder, { recursive: true });
      accessSync(folder, constants.W_OK);
      writeCurrent(root, to);
      linkTrouble = '';
      return { ok: true };
    } catch (error) {
      linkTrouble = whyUnwritten(error);
      return { ok: false, path: join(root, to), reason: linkTrouble };
    }
  };
  return {
    append(file, bytes) {
      if (revision === undefined) return;
      isChanged = true;
      let path = join(root, revision, file);
      while (holdsLines(file) && carried.has(nameOf(path))) path += '_';
      fileOf(path).append(bytes);
    },
    carry(file, bytes) {
      if (revision === undefined) return;
      isChanged = true;
      const path = join(root, revision, file);
      if (holdsLines(file) && !carried.has(nameOf(path))) {
        files.get(path)?.release();
        files.delete(path);
      }
      carried.add(nameOf(path));
      fileOf(path).append(bytes);
    },
    names(folder) {
      try {
        return revision === undefined ? [] : readdirSync(join(root, revision, folder));
      } catch {
        return [];
      }
    },
    openRevision(next) {
      if (next !== revision) {
        releaseAll();
        files.clear();
        revision = next;
        for (const name of left.keys()) if (!name.startsWith(`${next}/`)) left.delete(name);
        carried = new Set(left.keys());
        isChanged = true;
      }
      return link(next);
    },
    written() {
      const places = [...files].flatMap(([path, file]): [string, WrittenPlace][] => {
        const place = file.place();
        return place === undefined ? [] : [[nameOf(path), place]];
      });
      return Object.fromEntries([...left, ...places]);
    },
    refresh() {
      // Also what nobody has written to for a while: closed until it is needed.
      releaseAll();
      if (linkTrouble !== '' && revision !== undefined) link(revision);
      // Whoever has nothing more to say would be in trouble for good.
      if (hasRoom(root)) for (const file of files.values()) if (file.loss() !== undefined) file.append(NOTHING);
      if (isChanged || retention.troubles().length > 0) retention.check();
      isChanged = false;
    },
    troubles: () => [
      ...(linkTrouble === '' ? [] : [unwritable(join(root, revision ?? ''), linkTrouble)]),
      ...[...files.values()].flatMap(lossReason),
      ...retention.troubles(),
    ],
    close() {
      releaseAll();
      retention.close();
    },
  };
}

const NOTHING = Buffer.alloc(0);
const MIN_FREE_BYTES = 64 * 1024;

function hasRoom(root: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(root);
    return bavail * bsize >= MIN_FREE_BYTES;
  } catch {
    return false;
  }
}

function unwritable(path: string, detail: string): HealthReason {
  return { code: 'LOG_UNWRITABLE', subject: path, message: `${path} cannot be written: ${detail}` };
}

function lossReason(file: BoundedFile): HealthReason[] {
  const loss = file.loss();
  return loss === undefined ? [] : [unwritable(file.path, `${loss.reason}; ${loss.lines} lines dropped so far`)];
}
