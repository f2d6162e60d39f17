// `<storage>/logs/current`: a relative symbolic link to the folder of the running revision.
import { lstatSync, readlinkSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { spareName } from '../../shared/kernel/spare-name.ts';
import { revisionName } from '../../shared/schema/names.ts';

export const CURRENT = 'current';

/** The revision that was open last; undefined when there is none, or the link is not one of ours. */
export function readCurrent(root: string): string | undefined {
  try {
    const parsed = revisionName.safeParse(readlinkSync(join(root, CURRENT)));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

/** At no instant is there no link. Throws what the file system throws. */
export function writeCurrent(root: string, revision: string): void {
  if (readCurrent(root) === revision) return;
  const link = join(root, CURRENT);
  if (lstatSync(link, { throwIfNoEntry: false })?.isDirectory() === true) {
    throw new Error(`${link} is a folder; it has to make way for the link to the running revision`);
  }
  const fresh = spareName(`${link}.new`);
  rmSync(fresh, { force: true });
  symlinkSync(revision, fresh);
  renameSync(fresh, link);
}
