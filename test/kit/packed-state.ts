// Changes the state JSON of a packed revision 0 where no packer would.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export type JsonObject = Record<string, unknown>;

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The object at this path itself, to be changed in place. */
export function objectAt(document: JsonObject, ...path: readonly string[]): JsonObject {
  let found = document;
  for (const key of path) {
    const value = found[key];
    if (!isObject(value)) throw new Error(`no object is at ${path.join('.')} of ${JSON.stringify(document)}`);
    found = value;
  }
  return found;
}

/** The text at this path of the state, as the digest of an object. */
export function textAt(document: JsonObject, path: string): string {
  const value = document[path];
  if (typeof value !== 'string') throw new Error(`no text is at ${path} of ${JSON.stringify(document)}`);
  return value;
}

export function changeState(storage: string, change: (state: JsonObject) => void): void {
  const path = join(storage, 'trails/0/.pvr/json');
  const state: unknown = JSON.parse(readFileSync(path, 'utf8'));
  if (!isObject(state)) throw new Error(`${path} is no object`);
  change(state);
  // It may be a link to the object that other revisions have, too.
  rmSync(path);
  writeFileSync(path, JSON.stringify(state));
}
