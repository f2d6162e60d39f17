// How much metadata of one kind there may be, and how it is told in messages of a bounded size. Pure.
import { Buffer } from 'node:buffer';

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

export interface Entry {
  readonly key: string;
  readonly value: string;
}

export interface Page {
  readonly entries: readonly Entry[];
  /** There is more: ask for what comes after this key. */
  readonly next: string | undefined;
}

/** Below the 64 KiB of a message, with the largest value and what msgpack adds to each entry (some 20 bytes). */
const PAGE_BYTES = 56 * 1024;
const ENTRY_OVERHEAD_BYTES = 24;

/** In the order of the keys, those after `after`; at least one entry while there is one. */
export function pageOf(entries: ReadonlyEntries, after: string | undefined): Page {
  const page: Entry[] = [];
  let bytes = 0;
  for (const key of [...entries.keys()].sort()) {
    if (after !== undefined && key <= after) continue;
    const value = entries.get(key) ?? '';
    bytes += bytesOf(key, value) + ENTRY_OVERHEAD_BYTES;
    if (bytes > PAGE_BYTES && page.length > 0) return { entries: page, next: page.at(-1)?.key };
    page.push({ key, value });
  }
  return { entries: page, next: undefined };
}
