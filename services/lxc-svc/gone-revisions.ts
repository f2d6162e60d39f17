// Volumes with persistence `revision` of revisions that are no longer there: collected, because nobody can ever mount them again. Others may
// write to a disk that is not this storage's alone, and other trees count their revisions as we do: there only what we have marked is ours.
//
// <disk>/revision/<revision>/.tree.<id>   a tree that has mounted of it; `id` is of its storage folder
// <disk>/rev/<revision>/                  Pantavisor's, without marks
import { lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { revisionName } from '../../shared/schema/names.ts';
import { isThere } from './disk-files.ts';
import { type Places, REVISIONS, STOCK_REVISIONS, treeRecord } from './places.ts';
import { readTreeRecord, writeTreeRecord } from './record-store.ts';
import { removeTree } from './remove-tree.ts';

export interface DiskRoot {
  /** Its folder for volumes; the disk is open. */
  readonly root: string;
  /** Nobody else puts anything on it. */
  readonly isOurs: boolean;
}

/** Being removed: out of the way of a revision that gets its name. */
const GONE = '.gone.';
const MARK = '.tree.';

/** Whoever mounts of a revision on a disk that is not ours alone says so; its folder is there, and no link. */
export function markRevision(places: Places, root: string, revision: string): void {
  const mark = join(root, REVISIONS, revision, `${MARK}${treeId(places)}`);
  if (lstatSync(mark, { throwIfNoEntry: false }) === undefined) writeFileSync(mark, '', { flag: 'wx', mode: 0o600 });
}

export interface RemovalOptions {
  readonly places: Places;
  /** Revisions that a container is mounted of, which may have lost their trail already. Asked right before any of them is taken away. */
  readonly used: () => ReadonlySet<string>;
  /** What of them cannot be removed; it is tried again the next time. */
  readonly onStuck: (folder: string, error: unknown) => void;
}

/**
 * Answers the revisions whose volumes went. Throws where a trail cannot be looked at. Not to be called where <storage>/trails may not be there
 * at all.
 */
export async function removeGoneRevisions(disk: DiskRoot, options: RemovalOptions): Promise<readonly string[]> {
  const gone: string[] = [];
  for (const folder of [REVISIONS, STOCK_REVISIONS])
    gone.push(...(await removeGoneOf(join(disk.root, folder), disk, options)));
  return [...new Set(gone)];
}

async function removeGoneOf(
  folder: string,
  { isOurs }: DiskRoot,
  { places, used, onStuck }: RemovalOptions,
): Promise<readonly string[]> {
  // What an earlier removal left.
  await removeMoved(folder, onStuck);
  const names = entriesOf(folder);
  if (names.length === 0) return [];
  // Not looked for behind a link that `folder` may be.
  const locals = names.includes('locals') ? entriesOf(join(folder, 'locals')) : [];
  const revisions = [...names, ...locals.map((name) => `locals/${name}`)];
  const inUse = used();
  const gone = revisions.filter(
    (name) =>
      name !== 'locals' &&
      revisionName.safeParse(name).success &&
      !inUse.has(name) &&
      !isThere(join(places.storage, 'trails', name)),
  );
  const moved = gone.flatMap((name) => {
    try {
      return isOurs || isLastOf(places, join(folder, name)) ? [{ name, to: moveAway(folder, name) }] : [];
    } catch (error) {
      onStuck(join(folder, name), error);
      return [];
    }
  });
  const stuck = await removeMoved(folder, onStuck);
  return moved.filter(({ to }) => !stuck.has(to)).map(({ name }) => name);
}

/** Answers its name there. One before it that cannot be removed may have the same name. */
function moveAway(folder: string, revision: string): string {
  const name = `${GONE}${revision.replace('/', '.')}`;
  let to = name;
  for (let count = 2; lstatSync(join(folder, to), { throwIfNoEntry: false }) !== undefined; count += 1)
    to = `${name}.${count}`;
  renameSync(join(folder, revision), join(folder, to));
  return to;
}

/** Answers what is left. */
async function removeMoved(folder: string, onStuck: RemovalOptions['onStuck']): Promise<ReadonlySet<string>> {
  const stuck = new Set<string>();
  for (const name of entriesOf(folder).filter((entry) => entry.startsWith(GONE))) {
    try {
      await removeTree(join(folder, name));
    } catch (error) {
      stuck.add(name);
      onStuck(join(folder, name), error);
    }
  }
  return stuck;
}

/** Of a revision that is gone here: this tree's word for it is taken back where others have given theirs. */
function isLastOf(places: Places, folder: string): boolean {
  const id = readTreeRecord(treeRecord(places))?.id;
  const marks = entriesOf(folder).filter((name) => name.startsWith(MARK));
  const own = `${MARK}${id}`;
  if (id === undefined || !marks.includes(own)) return false;
  if (marks.length > 1) unlinkSync(join(folder, own));
  return marks.length === 1;
}

/** Of this storage folder, unlike any other's; made when it is first asked for. What was marked with one that is lost stays. */
function treeId(places: Places): string {
  const path = treeRecord(places);
  const known = readTreeRecord(path);
  if (known !== undefined) return known.id;
  const id = readFileSync('/proc/sys/kernel/random/uuid', 'utf8').trim();
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  writeTreeRecord(path, { id });
  return id;
}

/** None of what is no folder, or a link to one. */
function entriesOf(folder: string): string[] {
  return lstatSync(folder, { throwIfNoEntry: false })?.isDirectory() === true ? readdirSync(folder) : [];
}
