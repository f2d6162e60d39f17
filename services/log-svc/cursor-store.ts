// The cursors of all followed files on disk, so that a killed log-svc goes on where it was.
//
// <rundir>/log/cursors.json: { "revision"?: "<rev>", "tails": { "<path>": { container, source, inode, offset, head } }, "pending", "written", "kernelSequence" },
// written beside and renamed: always whole. No fsync: it has to outlive the process, and the files it speaks of die with the machine.
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import * as z from 'zod/mini';
import { containerLogSource } from '../../shared/schema/logs.ts';
import { containerName, revisionName } from '../../shared/schema/names.ts';
import { writtenPlace } from './carried-bytes.ts';
import { tailCursor } from './tail-cursor.ts';

const followed = z.strictObject({
  container: containerName,
  source: containerLogSource,
  /** Missing until something was read. */
  cursor: z.optional(tailCursor),
});
export type Followed = z.output<typeof followed>;

const cursorFile = z.strictObject({
  /** The revision that was open. */
  revision: z.optional(revisionName),
  tails: z.record(z.string(), followed),
  /** Beginnings of lines that were read and wait for their end, base64, by container and source. */
  pending: z.optional(z.record(z.string(), z.string())),
  /** Up to where files of outputs are what was read up to the cursors, by path below <storage>/logs. */
  written: z.optional(z.record(z.string(), writtenPlace)),
  /** Of the kernel's log: the last record that was read. The file dies with the boot that it counts in. */
  kernelSequence: z.optional(z.int()),
});
export type Cursors = z.output<typeof cursorFile>;

const NONE: Cursors = { tails: {} };

/** Nothing where there is no file, or none of ours: then files are followed from their beginning. */
export function readCursors(path: string): Cursors {
  try {
    const parsed = cursorFile.safeParse(JSON.parse(readFileSync(path, 'utf8')));
    return parsed.success ? parsed.data : NONE;
  } catch {
    return NONE;
  }
}

/** Throws what the file system throws. */
export function writeCursors(path: string, cursors: Cursors): void {
  writeFileSync(`${path}.new`, JSON.stringify(cursors), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}
