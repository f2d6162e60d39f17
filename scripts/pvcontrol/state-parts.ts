// States with parts of others, or without some. In and out: paths, and the values as they are written, which are not ours to write anew. Pure.

import { canonicalJson } from '../../shared/revision/canonical-json.ts';
import { memberTexts } from '../../shared/revision/member-texts.ts';

export type Members = ReadonlyMap<string, string>;

/** Undefined: it is no JSON object. */
export function readMembers(state: string): Members | undefined {
  try {
    const value: unknown = JSON.parse(state);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? memberTexts(state) : undefined;
  } catch {
    return undefined;
  }
}

export function writeMembers(members: Members): string {
  return `{${[...members].map(([path, text]) => `${JSON.stringify(path)}:${text}`).join(',')}}`;
}

/** `web`, of web/run.json, _config/web/etc/hosts and _sigs/web.json alike; undefined: it is the device's as a whole (device.json). */
function partOf(path: string): string | undefined {
  const [, signed] = /^_sigs\/(.+)\.json$/.exec(path) ?? [];
  const [, folder] = /^(?:_config\/)?([^_/][^/]*)\//.exec(path) ?? [];
  return signed ?? folder;
}

/** In alphabetical order; a signature alone is none. */
export function partsOf(members: Members): readonly string[] {
  const paths = [...members.keys()].filter((path) => !path.startsWith('_sigs/'));
  return [...new Set(paths.flatMap((path) => partOf(path) ?? []))].sort();
}

export function withoutParts(members: Members, parts: readonly string[]): Members {
  return new Map([...members].filter(([path]) => !parts.includes(partOf(path) ?? '')));
}

function isSame(one: string, other: string): boolean {
  return canonicalJson(JSON.parse(one)) === canonicalJson(JSON.parse(other));
}

/**
 * Each part that comes replaces the whole of its like. What is the device's as a whole stays as it is, since the archive of one container
 * brings what a new device has; `leftOut`: where that is something else.
 */
export function withParts(members: Members, added: Members): { members: Members; leftOut: readonly string[] } {
  const parts = [...added.keys()].flatMap((path) => partOf(path) ?? []);
  const merged = new Map(withoutParts(members, parts));
  const leftOut: string[] = [];
  for (const [path, text] of added) {
    const own = merged.get(path);
    if (own === undefined) merged.set(path, text);
    else if (!isSame(own, text)) leftOut.push(path);
  }
  return { members: merged, leftOut };
}
