// Reads a whole journal: its records in order, where it is damaged, and how its tail ends. Pure; nothing in it can throw it off.
import { decodeLine, type Entry, entryOf, type Line, SHORTEST_RECORD_BYTES } from './journal-format.ts';
import type { LeaseLine } from './lease-line.ts';

export type ScanItem =
  | { readonly kind: 'record'; readonly entry: Entry }
  /** A flipped bit in bytes[at, at + bytes) was put right; the records follow. */
  | { readonly kind: 'corrected'; readonly at: number; readonly bytes: number }
  /** At most `records` records are missing here; `bytes` is the size of what could not be read, from `at` on. */
  | { readonly kind: 'damage'; readonly at: number; readonly records: number; readonly bytes: number };

export interface Scan {
  /** Records and damages. */
  readonly items: number;
  /** Damages, whether or not anything was lost. */
  readonly damages: number;
  /** The sequence number that the next line takes. */
  readonly nextSequence: number;
  /** Bytes up to the end of the last whole line; what follows is a write that a crash cut short, never acknowledged. */
  readonly wholeBytes: number;
  /** Single flipped bits that were put right. */
  readonly corrected: number;
}

const NEWLINE = 0x0a;
/** Damage up to here is tried for a single flipped bit: 16,384 trials of 2 KiB take about 0.1 s. Anything longer is no single bit in a lease. */
const MAX_CORRECTED_BYTES = 2048;

/**
 * Hands each record, correction and damage to `visit`, in order; but leases to `take` first: those it answers true for are done with.
 * Throws UnknownJournalVersion, nothing else of its own.
 */
export function scanJournal(
  bytes: Buffer,
  visit: (item: ScanItem) => void,
  take: (lease: LeaseLine) => boolean = () => false,
): Scan {
  let items = 0;
  let damages = 0;
  let expected = 1;
  let corrected = 0;
  let badFrom = -1;
  let at = 0;

  const accept = ({ sequence, content }: Line): void => {
    items += 1;
    if ('op' in content || !take(content)) visit({ kind: 'record', entry: entryOf(content) });
    expected = sequence + 1;
  };
  /** Everything in bytes[badFrom, end) was unreadable, and then came `next` or the end. */
  const settleDamage = (end: number, next: number | undefined): void => {
    const from = badFrom;
    badFrom = -1;
    if (from < 0 && (next ?? expected) === expected) return;
    const size = from < 0 ? 0 : end - from;
    const lines =
      size === 0 || size > MAX_CORRECTED_BYTES ? undefined : correctOneBit(bytes, from, end, expected, next);
    if (lines !== undefined) {
      visit({ kind: 'corrected', at: from, bytes: size });
      lines.forEach(accept);
      corrected += 1;
      return;
    }
    // At the end no line that follows tells how many there were. All of their bytes are there: what is cut off was never acknowledged.
    const most = Math.max(1, Math.floor(size / SHORTEST_RECORD_BYTES));
    const records = next === undefined ? most : next - expected;
    items += 1;
    damages += 1;
    visit({ kind: 'damage', at: from < 0 ? end : from, records, bytes: size });
    if (next === undefined) expected += records;
  };

  while (at < bytes.length) {
    const end = bytes.indexOf(NEWLINE, at);
    if (end < 0) break;
    const line = decodeLine(bytes, at, end);
    if (line !== undefined && line.sequence >= expected) {
      settleDamage(at, line.sequence);
      // A correction ends exactly before this line; anything else leaves a gap that has been reported.
      accept(line);
    } else if (badFrom < 0) {
      badFrom = at;
    }
    at = end + 1;
  }

  const tail = wholeTail(bytes, at, expected, badFrom >= 0);
  if (tail === undefined) {
    settleDamage(at, undefined);
    return { items, damages, nextSequence: expected, wholeBytes: at, corrected };
  }
  settleDamage(at, tail.line.sequence);
  if (tail.corrected > 0) visit({ kind: 'corrected', at, bytes: bytes.length - at });
  accept(tail.line);
  return { items, damages, nextSequence: expected, wholeBytes: tail.wholeBytes, corrected: corrected + tail.corrected };
}

/**
 * A last line without its newline: complete, so that only the newline is missing (it is taken: it was written, and applying an
 * unacknowledged lease is safe), or complete with another byte where the newline was (a flipped bit: taken, and it counts as corrected).
 */
function wholeTail(bytes: Buffer, start: number, expected: number, afterDamage: boolean): TailLine | undefined {
  for (const spare of [0, 1]) {
    const line = decodeLine(bytes, start, bytes.length - spare);
    if (line === undefined || (afterDamage ? line.sequence < expected : line.sequence !== expected)) continue;
    return { line, wholeBytes: bytes.length - spare, corrected: spare };
  }
  return undefined;
}

interface TailLine {
  readonly line: Line;
  readonly wholeBytes: number;
  readonly corrected: number;
}

/**
 * The lines that bytes[start, end) held, if one flipped bit explains them and their numbers fit in without a gap. CRC-32 has
 * Hamming distance 4 up to 11,454 bytes (Koopman 2002), so that no damage of two bits passes for one.
 */
function correctOneBit(
  bytes: Buffer,
  start: number,
  end: number,
  expected: number,
  next: number | undefined,
): Line[] | undefined {
  const trial = Buffer.from(bytes.subarray(start, end));
  for (let bit = 0; bit < trial.length * 8; bit += 1) {
    const mask = 1 << (bit & 7);
    trial[bit >>> 3] = (trial[bit >>> 3] ?? 0) ^ mask;
    const lines = decodeAll(trial, expected, next);
    if (lines !== undefined) return lines;
    trial[bit >>> 3] = (trial[bit >>> 3] ?? 0) ^ mask;
  }
  return undefined;
}

function decodeAll(bytes: Buffer, expected: number, next: number | undefined): Line[] | undefined {
  const lines: Line[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf(NEWLINE, at);
    const line = end < 0 ? undefined : decodeLine(bytes, at, end);
    if (line?.sequence !== expected + lines.length) return undefined;
    lines.push(line);
    at = end + 1;
  }
  return next === undefined || next === expected + lines.length ? lines : undefined;
}
