// The names that a journal can have, and which of them is written. The kernel does not rename to, or remove, what it cannot look at, so that what is
// written after that comes under the next name, and after it in time: given back by a check of the file system it says what was.
//
//   leases.journal              the journal
//   leases.journal.later        what was written since leases.journal could be neither read nor replaced
//   leases.journal.later.<n>    the same, since that could not be, either
import { rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { isDamagedAt, spareNames } from '../../shared/kernel/spare-name.ts';
import { errorCode, isDamaged } from '../../shared/kernel/system-error.ts';

/** In the order in which they are to be read. */
export function journalNames(folder: string): readonly string[] {
  return [join(folder, 'leases.journal'), ...spareNames(join(folder, 'leases.journal.later'))];
}

/**
 * `whole` gets the first of the names that none comes after which cannot be removed; answers which. Where this rejects, it may have it. What the
 * others say is in it, and must not be said again after what follows there: they are gone, but for those that are damaged and come before.
 */
export async function takePlace(whole: string, names: readonly string[]): Promise<string> {
  let refused: unknown = new Error(`${names.at(-1)} is damaged, as are those before it`);
  for (const place of names.slice(names.findLastIndex(isDamagedAt) + 1)) {
    try {
      await rename(whole, place);
    } catch (error) {
      if (!isDamaged(error)) throw error;
      refused = error;
      continue;
    }
    const at = names.indexOf(place);
    for (const before of names.slice(0, at)) await removed(before).catch(unlessDamaged);
    for (const after of names.slice(at + 1)) await removed(after);
    return place;
  }
  throw refused;
}

async function removed(path: string): Promise<void> {
  await unlink(path).catch((error: unknown) => {
    if (errorCode(error) !== 'ENOENT') throw error;
  });
}

function unlessDamaged(error: unknown): void {
  if (!isDamaged(error)) throw error;
}
