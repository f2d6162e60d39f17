// Volumes with persistence `revision` of revisions that are no longer there: collected, because nobody can ever mount them again.
import { existsSync, promises, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { revisionName } from '../../shared/schema/names.ts';
import type { Places } from './places.ts';

/** Being removed: out of the way of a revision that gets its name. */
const GONE = '.gone.';

/**
 * `root`: of a disk that is open. `used`: revisions that a container is mounted of, which may have lost their trail already. Answers the
 * revisions whose volumes went. Not to be called twice at a time, nor where <storage>/trails may not be there at all.
 */
export async function removeGoneRevisions(
  { storage }: Places,
  root: string,
  used: ReadonlySet<string>,
): Promise<readonly string[]> {
  const folder = join(root, 'revision');
  const names = entriesOf(folder);
  const revisions = [...names, ...entriesOf(join(folder, 'locals')).map((name) => `locals/${name}`)];
  const gone = revisions.filter(
    (name) =>
      name !== 'locals' &&
      revisionName.safeParse(name).success &&
      !used.has(name) &&
      !existsSync(join(storage, 'trails', name)),
  );
  for (const name of gone) renameSync(join(folder, name), join(folder, `${GONE}${name.replace('/', '.')}`));
  const doomed = entriesOf(folder).filter((name) => name.startsWith(GONE));
  for (const name of doomed) await promises.rm(join(folder, name), { recursive: true, force: true });
  return gone;
}

function entriesOf(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}
