// A list of ours on file that is of this boot only, as what it tells of is itself. In: the file's path, its key and its items; out: the list. No
// file: an empty one.
//
//   {"boot":"…","<key>":[…]}
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import * as z from 'zod/mini';
import { attempt } from './net-failure.ts';

export interface BootList<T> {
  list(): readonly T[];
  /** On file when this returns. Throws NetFailure. */
  replace(wanted: readonly T[]): void;
}

/** `path` is a file of ours; `step` says in failures what is written down. */
export function openBootList<T>(path: string, key: string, item: z.ZodMiniType<T>, step: string): BootList<T> {
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  let items = read(path, boot, key, z.array(item));
  return {
    list: () => items,
    replace(wanted) {
      attempt(step, () => {
        if (wanted.length === 0) {
          for (const name of [path, `${path}.new`]) rmSync(name, { force: true });
        } else {
          writeFileSync(`${path}.new`, JSON.stringify({ boot, [key]: wanted }), { mode: 0o600 });
          renameSync(`${path}.new`, path);
        }
      });
      items = wanted;
    },
  };
}

const document = z.looseObject({ boot: z.string() });

/** What cannot be understood names nothing. */
function read<T>(path: string, boot: string, key: string, items: z.ZodMiniType<T[]>): readonly T[] {
  try {
    const found = document.parse(JSON.parse(readFileSync(path, 'utf8')));
    return found.boot === boot ? items.parse(found[key]) : [];
  } catch {
    return [];
  }
}
