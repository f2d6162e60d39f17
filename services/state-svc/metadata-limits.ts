// How much metadata of one kind there may be, and how it is told in messages of a bounded size. Pure.
import { Buffer } from 'node:buffer';
import { indexAfter, pageFrom } from '../../shared/ipc/page.ts';

export type Entries = Map<string, string>;
export type ReadonlyEntries = ReadonlyMap<string, string>;

/** Keys of one kind. */
export const MAX_KEYS = 1000;
/** Bytes of keys and values of one kind: all of it is in memory, and once more for every container that may see it. */
export const MAX_TOTAL_BYTES = 512 * 1024;

export interface LimitReached {
  readonly code: 'LIMIT_REACHED';
  readonly what: 'keys' | 'bytes';
  readonly limit: number;
}

/** Whether `entries` with `key` = `value` would be more than is allowed. */
export function limitReached(entries: ReadonlyEntries, key: string, value: string): LimitReached | undefined {
  let keys = 1;
  let bytes = bytesOf(key, value);
  for (const [other, text] of entries) {
    if (other === key) continue;
    keys += 1;
    bytes += bytesOf(other, text);
  }
  if (keys > MAX_KEYS) return { code: 'LIMIT_REACHED', what: 'keys', limit: MAX_KEYS };
  if (bytes > MAX_TOTAL_BYTES) return { code: 'LIMIT_REACHED', what: 'bytes', limit: MAX_TOTAL_BYTES };
  return undefined;
}

function bytesOf(key: string, value: string): number {
  return Buffer.byteLength(key) + Buffer.byteLength(value);
}

interface Entry {
  readonly key: string;
  readonly value: string;
}

const keyOf = ({ key }: Entry): string => key;

/** In the order of the keys, those after `after`. */
export function pageOf(entries: ReadonlyEntries, after: string | undefined) {
  const all = [...entries.keys()].sort().map((key): Entry => ({ key, value: entries.get(key) ?? '' }));
  const { rows, next } = pageFrom(all, indexAfter(all, after, keyOf), keyOf);
  return { entries: rows, next };
}
