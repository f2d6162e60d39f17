// Finds the endpoint for a method and a path. Pure; paths are data from outside, so nothing in them is followed or guessed.
import type { Endpoint } from './endpoint.ts';

export type Route =
  | { readonly kind: 'found'; readonly endpoint: Endpoint; readonly params: Readonly<Record<string, string>> }
  /** The path exists, not with this method. */
  | { readonly kind: 'wrongMethod' }
  | { readonly kind: 'unknownPath' };

export type Router = (method: string, target: string) => Route;

interface PathEntry {
  readonly parts: readonly string[];
  readonly byMethod: Map<string, Endpoint>;
}

const NO_PARAMS: Readonly<Record<string, string>> = {};

export function createRouter(endpoints: readonly Endpoint[]): Router {
  const entries = new Map<string, PathEntry>();
  for (const endpoint of endpoints) {
    const entry = entries.get(endpoint.path) ?? { parts: endpoint.path.split('/'), byMethod: new Map() };
    entry.byMethod.set(endpoint.method, endpoint);
    entries.set(endpoint.path, entry);
  }
  const patterns = [...entries.values()].filter(({ parts }) => parts.some(isParameter));
  return (method, target) => {
    const path = pathOf(target);
    const exact = path.includes('{') ? undefined : entries.get(path);
    if (exact !== undefined) return pick(exact, method, NO_PARAMS);
    const parts = path.split('/');
    for (const entry of patterns) {
      const params = match(entry.parts, parts);
      if (params !== undefined) return pick(entry, method, params);
    }
    return { kind: 'unknownPath' };
  };
}

function pick(entry: PathEntry, method: string, params: Readonly<Record<string, string>>): Route {
  const endpoint = entry.byMethod.get(method);
  return endpoint === undefined ? { kind: 'wrongMethod' } : { kind: 'found', endpoint, params };
}

/** The path of a request target: origin form, or absolute form, which servers must take as well (RFC 9112, 3.2.2). No query. */
function pathOf(target: string): string {
  const path = target.startsWith('http://') ? target.slice(afterAuthority(target)) : target;
  const query = path.indexOf('?');
  return query === -1 ? path : path.slice(0, query);
}

function afterAuthority(target: string): number {
  const slash = target.indexOf('/', 'http://'.length);
  return slash === -1 ? target.length : slash;
}

function isParameter(part: string): boolean {
  return part.startsWith('{');
}

function match(pattern: readonly string[], parts: readonly string[]): Record<string, string> | undefined {
  if (pattern.length !== parts.length) return undefined;
  const params: Record<string, string> = {};
  for (const [index, expected] of pattern.entries()) {
    const part = parts[index] ?? '';
    if (!isParameter(expected)) {
      if (part !== expected) return undefined;
      continue;
    }
    const decoded = decode(part);
    if (decoded === undefined || decoded === '') return undefined;
    params[expected.slice(1, -1)] = decoded;
  }
  return params;
}

/** It encodes nothing. */
const LONE_PERCENT = /%(?![0-9A-Fa-f]{2})/g;

/** Undefined: what was encoded is no UTF-8. */
function decode(part: string): string | undefined {
  try {
    return decodeURIComponent(part.replaceAll(LONE_PERCENT, '%25'));
  } catch {
    return undefined;
  }
}
