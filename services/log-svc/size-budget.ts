// How much the log folder may hold, and what goes when it holds too much. Pure.
import type { Size } from '../../shared/config/kinds.ts';
import { parseRotatedName } from './rotated-name.ts';

export interface Disk {
  readonly bytes: number;
  /** In memory: there is nothing to share it with. */
  readonly isTmpfs: boolean;
}

/** All in bytes. */
export interface Marks {
  readonly budget: number;
  /** Above it, files go … */
  readonly high: number;
  /** … until no more than this is left. */
  readonly low: number;
  /** A file that would grow beyond it is rotated. */
  readonly file: number;
}

export interface BudgetFactors {
  /** The low mark is one part of so many below the budget (PV_LOG_HYSTERESIS_FACTOR). */
  readonly hysteresis: number;
  /** That part is so many files (PV_LOG_ROTATE_FACTOR). */
  readonly rotate: number;
  /** No file is larger (PV_LOG_MAXSIZE); 0, or nothing: as these say. */
  readonly fileBytes?: number;
}

const AUTOMATIC_SHARE = 0.1;
const HIGH_SHARE = 0.9;
/** A rotated file is worth its name and its block; and it is compressed within a second or two on a small board. */
const MIN_FILE_BYTES = 16 * 1024;
const MAX_FILE_BYTES = 8 * 1024 * 1024;

/** More than the disk has is what 0 gives, as in Pantavisor. */
export function marksOf(size: Size, disk: Disk, { hysteresis, rotate, fileBytes = 0 }: BudgetFactors): Marks {
  const automatic = disk.isTmpfs ? disk.bytes : disk.bytes * AUTOMATIC_SHARE;
  const asked = wantedBytes(size, disk);
  const budget = Math.floor(asked === undefined || asked > disk.bytes ? automatic : asked);
  const gap = budget / Math.max(2, hysteresis);
  const high = Math.floor(budget * HIGH_SHARE);
  const low = Math.min(high, Math.floor(budget - gap));
  const most = Math.min(MAX_FILE_BYTES, fileBytes === 0 ? MAX_FILE_BYTES : fileBytes);
  const file = Math.max(MIN_FILE_BYTES, Math.min(most, Math.floor(gap / Math.max(1, rotate))));
  return { budget, high, low, file };
}

function wantedBytes(size: Size, disk: Disk): number | undefined {
  switch (size.kind) {
    case 'automatic':
      return undefined;
    case 'bytes':
      return size.bytes;
    case 'percent':
      return (disk.bytes * size.percent) / 100;
  }
}

/** A file below <storage>/logs. */
export interface StoredFile {
  /** Below <storage>/logs. */
  readonly path: string;
  readonly bytes: number;
  readonly changedMs: number;
}

export interface Excess {
  /** In the order in which they go. */
  readonly remove: readonly string[];
  /** Nothing more can go, and it is still too much: this file of the running revision is the largest that is being written. */
  readonly rotate: string | undefined;
}

const NOTHING: Excess = { remove: [], rotate: undefined };

/**
 * Files that nobody writes any more; above it some go, whatever their size. 8 MiB of one line over and over are 8 KB once they are compressed: a
 * container that repeats itself for months would leave a hundred thousand of them within the budget, and all are looked at after each rotation.
 */
export const MAX_PAST_FILES = 5_000;
const LOW_PAST_FILES = 4_000;

/**
 * First what other revisions left, the oldest first; then rotated files of the running one: the oldest of the folder that holds the
 * most, bytes or files, whichever there are too many of, so that a container that floods its log costs itself the past, not others. Never a file
 * of the running revision that is no rotated one.
 */
export function excessOf(files: readonly StoredFile[], revision: string | undefined, marks: Marks): Excess {
  let total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  const isOurs = ({ path }: StoredFile): boolean => revision !== undefined && path.startsWith(`${revision}/`);
  let past = files.reduce((sum, file) => sum + (isOurs(file) && !isRotated(file.path) ? 0 : 1), 0);
  if (total <= marks.high && past <= MAX_PAST_FILES) return NOTHING;
  const lowBytes = total > marks.high ? marks.low : Number.POSITIVE_INFINITY;
  const lowFiles = past > MAX_PAST_FILES ? LOW_PAST_FILES : Number.POSITIVE_INFINITY;
  const isExcess = (): boolean => total > lowBytes || past > lowFiles;
  const remove: string[] = [];
  const take = (file: StoredFile): void => {
    remove.push(file.path);
    total -= file.bytes;
    past -= 1;
  };
  const aged = agedOf(files);
  for (const file of aged.filter((each) => !isOurs(each)).sort(byAge)) if (isExcess()) take(file);
  const ours = aged.filter(isOurs);
  const folders = foldersOf(ours, revision ?? '');
  while (isExcess()) {
    const byExcess = total > lowBytes ? byBytes : byFiles;
    const fullest = folders.filter(({ rotated }) => rotated.length > 0).sort(byExcess)[0];
    const oldest = fullest?.rotated.pop();
    if (fullest === undefined || oldest === undefined) break;
    take(oldest);
    fullest.bytes -= oldest.bytes;
  }
  const largest = ours.filter(({ number }) => number === BEING_WRITTEN).sort((a, b) => b.bytes - a.bytes)[0];
  return { remove, rotate: total > marks.high && largest !== undefined ? largest.path : undefined };
}

function isRotated(path: string): boolean {
  return parseRotatedName(path) !== undefined;
}

interface AgedFile extends StoredFile {
  /** Of two of one name the lower is older, whatever the clock was. */
  readonly number: number;
}

const BEING_WRITTEN = Number.MAX_SAFE_INTEGER;

/**
 * A clock that was set back makes what is newest look oldest, as on a board that starts in 1970: files with numbers are no younger than the next ones of
 * the same name.
 */
function agedOf(files: readonly StoredFile[]): readonly AgedFile[] {
  const named = files.map((file) => {
    const { base, number } = parseRotatedName(file.path) ?? { base: file.path, number: BEING_WRITTEN };
    return { file, base, number };
  });
  const next = new Map<string, number>();
  return named
    .sort((a, b) => b.number - a.number)
    .map(({ file, base, number }) => {
      const changedMs = Math.min(file.changedMs, next.get(base) ?? file.changedMs);
      next.set(base, changedMs);
      return { ...file, changedMs, number };
    });
}

function byAge(a: AgedFile, b: AgedFile): number {
  return a.changedMs - b.changedMs || a.number - b.number || (a.path < b.path ? -1 : 1);
}

interface Folder {
  bytes: number;
  /** The oldest last. */
  readonly rotated: AgedFile[];
}

const byBytes = (a: Folder, b: Folder): number => b.bytes - a.bytes;
const byFiles = (a: Folder, b: Folder): number => b.rotated.length - a.rotated.length;

function foldersOf(files: readonly AgedFile[], revision: string): Folder[] {
  const folders = new Map<string, Folder>();
  for (const file of files) {
    const name = file.path.slice(revision.length + 1).split('/')[0] ?? '';
    const folder = folders.get(name) ?? { bytes: 0, rotated: [] };
    folder.bytes += file.bytes;
    if (file.number !== BEING_WRITTEN) folder.rotated.push(file);
    folders.set(name, folder);
  }
  for (const { rotated } of folders.values()) rotated.sort((a, b) => byAge(b, a));
  return [...folders.values()];
}
