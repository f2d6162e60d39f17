// Keeps the log folder within its budget: rotated files are compressed, and the oldest go when it is too much.
import { existsSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import type { Size } from '../../shared/config/kinds.ts';
import { reasonOf } from '../../shared/kernel/system-error.ts';
import type { HealthReason } from '../../shared/schema/health.ts';
import { createCompression } from './compression.ts';
import { removeFile, scanFolder, tidyCompressions } from './folder-scan.ts';
import { type BudgetFactors, type Disk, excessOf, type Marks, marksOf } from './size-budget.ts';

export interface RetentionSettings {
  readonly maxSize: Size;
  readonly factors: BudgetFactors;
}

export interface Retention {
  /** Files beyond it are rotated; bytes. */
  maxFileBytes(): number;
  onRotated(path: string): void;
  /** Looks at the folder and takes away what is too much. Never throws. */
  check(): void;
  troubles(): readonly HealthReason[];
  close(): void;
}

export interface RetentionContext {
  /** <storage>/logs */
  readonly root: string;
  readonly settings: RetentionSettings;
  /** compress-worker.js; undefined: rotated files stay as they are. */
  readonly workerPath: string | undefined;
  /** The revision whose files are being written. */
  readonly revision: () => string | undefined;
  /** Rotates a file that is being written, before its time. Throws what the file system throws. */
  readonly rotate: (path: string) => void;
  readonly say: (line: string) => void;
}

/** statfs(2) */
const TMPFS_MAGIC = 0x01021994;
/** As long as the disk cannot be asked: what fits any board. */
const UNKNOWN_DISK: Disk = { bytes: 160 * 1024 * 1024, isTmpfs: false };

export function createRetention({ root, settings, workerPath, revision, rotate, say }: RetentionContext): Retention {
  let marks = marksNow();
  let failure = '';
  const failed = new Map<string, string>();
  const compression =
    workerPath === undefined
      ? undefined
      : createCompression(workerPath, {
          onDone(path) {
            failed.delete(path);
            check();
          },
          onFailed(path, reason) {
            // Removed meanwhile, or compressed by outputs that these replace.
            if (!existsSync(path)) return void failed.delete(path);
            if (!failed.has(path)) say(`${path} stays as it is, not compressed: ${reason}`);
            failed.set(path, reason);
          },
        });

  function marksNow(): Marks {
    return marksOf(settings.maxSize, diskOf(root), settings.factors);
  }
  function check(): void {
    marks = marksNow();
    try {
      const busy = compression?.current();
      const files = scanFolder(root);
      const { remove, rotate: largest } = excessOf(files, revision(), marks);
      const gone = remove.filter((path) => join(root, path) !== busy);
      for (const path of gone) {
        removeFile(root, path, revision());
        failed.delete(join(root, path));
      }
      const bytes = sumOf(files, new Set(gone));
      if (gone.length > 0) say(`removed ${gone.length} old log files, ${bytes} bytes, to stay within ${marks.budget}`);
      if (largest !== undefined) rotate(join(root, largest));
      for (const path of failed.keys()) compression?.add(path);
      failure = '';
    } catch (error) {
      failure = reasonOf(error);
    }
  }
  for (const path of tidyCompressions(root, scanFolder(root), say)) compression?.add(path);
  return {
    maxFileBytes: () => marks.file,
    onRotated(path) {
      compression?.add(path);
      // Not now: whoever rotates is in the middle of writing.
      setImmediate(check);
    },
    check,
    troubles() {
      if (failure === '') return [];
      const message = `${root} cannot be kept within ${marks.budget} bytes: ${failure}`;
      return [{ code: 'LOG_BUDGET_UNKEPT', subject: root, message }];
    },
    close: () => void compression?.close(),
  };
}

function diskOf(root: string): Disk {
  try {
    const { type, bsize, blocks } = statfsSync(root);
    return { bytes: bsize * blocks, isTmpfs: type === TMPFS_MAGIC };
  } catch {
    return UNKNOWN_DISK;
  }
}

function sumOf(files: readonly { readonly path: string; readonly bytes: number }[], of: ReadonlySet<string>): number {
  return files.reduce((sum, { path, bytes }) => sum + (of.has(path) ? bytes : 0), 0);
}
