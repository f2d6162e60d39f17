// Reads one JSON document against a schema: every mistake with its path, the keys nobody knows, and all that could be understood,
// so that one mistake does not hide the others.
import type * as z from 'zod/mini';
import type { Problem } from './revision.ts';
import { problemOf } from './schema-problems.ts';

type Path = readonly PropertyKey[];

export interface ReadDocument<T> {
  /** What the schema knows of the document; values that break it are absent. */
  readonly value: T;
  readonly problems: readonly Problem[];
  /** JSON paths of keys that the schema does not name, at every depth that it describes. */
  readonly ignored: readonly string[];
}

/** More than one is needed only where a value is several times wrong. */
const MAX_ROUNDS = 8;

/**
 * `schema` is an object with nothing but optional keys (what is required there, see `missingKeys`), and nothing that transforms.
 * Codes: BAD_TYPE, BAD_VALUE. Never throws on what JSON.parse can make.
 */
export function readDocument<T extends z.ZodMiniType>(
  schema: T,
  document: unknown,
  base: string,
): ReadDocument<z.output<T>> {
  const problems: Problem[] = [];
  let rest = document;
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const parsed = schema.safeParse(rest);
    if (parsed.success) return { value: parsed.data, problems, ignored: unknownKeys(rest, parsed.data, base) };
    const { issues } = parsed.error;
    for (const issue of issues) problems.push(problemOf(issue, rest, base));
    rest = without(
      rest,
      issues.map((issue) => faultyKey(issue.path)),
    );
  }
  return { value: schema.parse({}), problems, ignored: [] };
}

/** A problem per key of `keys` that the document lacks. Code: MISSING. */
export function missingKeys(document: unknown, keys: readonly string[], base: string): Problem[] {
  if (typeof document !== 'object' || document === null) return [];
  return keys
    .filter((key) => !Object.hasOwn(document, key))
    .map((key) => ({ path: `${base}.${key}`, code: 'MISSING', message: `is missing; write '${key}'` }));
}

/** What to leave out: without an element those behind it would get other numbers, so the key that holds the array goes. */
function faultyKey(path: Path): Path {
  return path.slice(0, path.findLastIndex((part) => typeof part === 'string') + 1);
}

/** A copy of `document` without the keys at `paths`; the rest is shared with it. An empty path leaves an empty object. */
function without(document: unknown, paths: readonly Path[]): unknown {
  if (paths.some(({ length }) => length === 0)) return {};
  if (typeof document !== 'object' || document === null) return document;
  const inside = byFirstPart(paths);
  if (Array.isArray(document)) return document.map((element, index) => without(element, inside.get(index) ?? []));
  const entries = Object.entries(document).flatMap(([key, value]) => {
    const below = inside.get(key);
    if (below === undefined) return [[key, value]];
    return below.some(({ length }) => length === 0) ? [] : [[key, without(value, below)]];
  });
  return Object.fromEntries(entries);
}

function byFirstPart(paths: readonly Path[]): ReadonlyMap<PropertyKey, readonly Path[]> {
  const inside = new Map<PropertyKey, Path[]>();
  for (const [first, ...rest] of paths) {
    if (first === undefined) continue;
    const others = inside.get(first);
    if (others === undefined) inside.set(first, [rest]);
    else others.push(rest);
  }
  return inside;
}

/** What parsing stripped. */
function unknownKeys(before: unknown, after: unknown, path: string): string[] {
  // Values of z.unknown() come out as they went in.
  if (before === after || typeof before !== 'object' || before === null) return [];
  if (typeof after !== 'object' || after === null) return [];
  return Object.entries(before).flatMap(([key, value]) =>
    Object.hasOwn(after, key) ? unknownKeys(value, Reflect.get(after, key), `${path}.${key}`) : [`${path}.${key}`],
  );
}
