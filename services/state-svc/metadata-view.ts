// What a container sees of the metadata, as files by name: with role mgmt all of it, otherwise the keys `<container>.<name>` as
// `<name>`, as the stock runtime does. Pure.
import type { ReadonlyEntries } from './metadata-limits.ts';

export interface Viewer {
  readonly name: string;
  readonly roles: readonly string[];
}

/** `names`: all containers of the revision. */
export function viewOf(entries: ReadonlyEntries, { name, roles }: Viewer, names: readonly string[]): ReadonlyEntries {
  if (roles.includes('mgmt')) return entries;
  const prefix = `${name}.`;
  // Whose it is, if not its own, is asked of the few that may be: of every key, for every container, it would be asked of all names.
  const own = [...entries].flatMap(([key, value]): readonly (readonly [string, string])[] =>
    key.startsWith(prefix) && ownerOf(key, names) === name ? [[key.slice(prefix.length), value]] : [],
  );
  return new Map(own);
}

/**
 * The container that a key belongs to; undefined: none. With names `web` and `web.admin` the key `web.admin.password` is the
 * second one's alone. The stock runtime cuts at the first dot, which would give it to `web`.
 */
export function ownerOf(key: string, names: readonly string[]): string | undefined {
  let owner: string | undefined;
  for (const name of names) {
    if (key.startsWith(`${name}.`) && name.length > (owner?.length ?? 0)) owner = name;
  }
  return owner;
}
