// Lists that may be longer than one message: cut into pages by whoever has them, joined again by whoever asked.
import { Buffer } from 'node:buffer';

/** Bytes of rows in one page, counted as JSON, which is longer than msgpack but for fractions; MAX_FRAME_BYTES leaves room for the rest. */
export const PAGE_BYTES = 48 * 1024;

export interface Page<R> {
  readonly rows: R[];
  /** To be asked with as `after` for the rows that follow; undefined: these were the last. */
  readonly next: string | undefined;
}

/**
 * As many of `rows` from `index` on as fit, at least one while there is any. `keyOf` gives the last row's key to the asker, who
 * names it with the next request.
 */
export function pageFrom<R>(rows: readonly R[], index: number, keyOf: (row: R) => string): Page<R> {
  const page: R[] = [];
  let bytes = 0;
  for (const row of rows.slice(index)) {
    bytes += Buffer.byteLength(JSON.stringify(row));
    const last = page.at(-1);
    if (last !== undefined && bytes > PAGE_BYTES) return { rows: page, next: keyOf(last) };
    page.push(row);
  }
  return { rows: page, next: undefined };
}

/** All of `rows`, cut into pages. */
export function pagesOf<R>(rows: readonly R[]): R[][] {
  const pages: R[][] = [];
  for (let from = 0; from < rows.length; from += pages.at(-1)?.length ?? rows.length) {
    pages.push(pageFrom(rows, from, () => '').rows);
  }
  return pages;
}

/** Where a list in the order of `keyOf` goes on after `after`, whether that row is there still or not. */
export function indexAfter<R>(rows: readonly R[], after: string | undefined, keyOf: (row: R) => string): number {
  if (after === undefined) return 0;
  const index = rows.findIndex((row) => keyOf(row) > after);
  return index === -1 ? rows.length : index;
}

/** All rows, asked for page by page. A list that changes meanwhile is as consistent as its pages. */
export async function allPages<R>(ask: (after: string | undefined) => Promise<Page<R>>): Promise<R[]> {
  const all: R[] = [];
  for (let after: string | undefined; ; ) {
    const { rows, next } = await ask(after);
    all.push(...rows);
    // A page without rows cannot be followed by another: no server can keep this loop going for ever.
    if (rows.length === 0 || next === undefined) return all;
    after = next;
  }
}
