// Gives lines of an LXC configuration the options that a revision wants its places mounted with. In: lines, and remounts in their order. Out:
// the lines with these options, and one for the root where that is meant. Pure.
import { posix } from 'node:path';
import { parseExtendedRegex } from '../devices/extended-regex.ts';
import { OPPOSITES, type Remount, type RemountOption } from '../schema/remounts.ts';
import type { LxcEntry } from './entry.ts';
import { fieldsOf, withFields } from './mount-entries.ts';

type Line = Pick<LxcEntry, 'key' | 'value'>;

export interface Places {
  /** Of an expression, how long a match takes for each character. */
  readonly steps: number;
  /** Undefined: it is an expression. */
  readonly path: string | undefined;
  /** `path`: in the container, with a slash before each part; the root is empty. */
  has(path: string): boolean;
}

const SPECIAL = /[.[\]()*+?{}|^$\\]/;
const ROOT_OPTIONS = 'lxc.rootfs.options';

/** Throws an error that says what of an expression cannot be understood. */
export function readPlaces(expression: string): Places {
  const written = expression.replace(/\/$/, '');
  if (!SPECIAL.test(written)) return { steps: 1, path: written, has: (path) => path === written };
  const { steps, whole } = parseExtendedRegex(written);
  return { steps, path: undefined, has: (path) => whole(path) !== undefined };
}

/** Where it mounts something, as Places knows it; undefined: it mounts nothing there, or LXC passes over it. */
export function mountedPath({ key, value }: Line): string | undefined {
  if (key !== 'lxc.mount.entry' || value === '') return undefined;
  const { target, isAbsolute } = fieldsOf(value);
  const path = posix.normalize(`/${target}`).replace(/\/$/, '');
  return isAbsolute ? undefined : path;
}

export function withRemounts<T extends Line>(
  entries: readonly T[],
  remounts: readonly Remount[],
): readonly (T | Line)[] {
  if (remounts.length === 0) return entries;
  const rules = remounts.map(({ place, options }) => ({ places: readPlaces(place), options }));
  const wantedAt = (path: string): readonly RemountOption[] =>
    rules.flatMap(({ places, options }) => (places.has(path) ? options : []));
  const lines = entries.map((entry) => {
    const path = mountedPath(entry);
    const wanted = path === undefined ? [] : wantedAt(path);
    if (wanted.length === 0) return entry;
    const { options } = fieldsOf(entry.value);
    const isBind = options.has('bind') || options.has('rbind');
    // Whoever starts the container knows by it that these are to be heeded.
    const kept = isBind ? options.add('remount') : options;
    return { ...entry, value: withFields(entry.value, { options: changed(kept, wanted) }) };
  });
  const ofRoot = wantedAt('');
  if (ofRoot.length === 0) return lines;
  const before = lines.findLast(({ key }) => key === ROOT_OPTIONS)?.value.split(',') ?? [];
  return [
    ...lines,
    {
      key: ROOT_OPTIONS,
      value: changed(
        before.filter((option) => option !== ''),
        ofRoot,
      ).join(','),
    },
  ];
}

function changed(before: Iterable<string>, wanted: readonly RemountOption[]): readonly string[] {
  return wanted.reduce<readonly string[]>(
    (options, option) => {
      const row: readonly string[] = OPPOSITES.find((each) => each.some((other) => other === option)) ?? [];
      return [...options.filter((other) => !row.includes(other)), option];
    },
    [...before],
  );
}
