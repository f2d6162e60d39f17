// Reads a tar archive as it comes, entry by entry (POSIX.1-2017, pax: ustar interchange format). Only regular files are told.
import { Buffer } from 'node:buffer';
import { Readable } from 'node:stream';

const BLOCK = 512;

export interface TarEntry {
  /** Without a leading `./`. */
  readonly name: string;
  readonly bytes: number;
  /** To be read to its end before the next entry is asked for; what is not read is skipped. */
  readonly content: Readable;
}

export class BadArchive extends Error {}

/** Throws BadArchive where it is none, or ends early. */
export async function* tarEntries(source: AsyncIterable<Buffer>): AsyncGenerator<TarEntry> {
  const input = bufferedInput(source);
  for (;;) {
    const header = await input.exactly(BLOCK);
    if (header === undefined || header.every((byte) => byte === 0)) return;
    const { name, bytes, isFile } = parseHeader(header);
    const padding = (BLOCK - (bytes % BLOCK)) % BLOCK;
    let left = bytes;
    const pieces = async function* (): AsyncGenerator<Buffer> {
      while (left > 0) {
        const piece = await input.atMost(left);
        if (piece === undefined) throw new BadArchive(`it ends in the middle of ${name}`);
        left -= piece.length;
        yield piece;
      }
    };
    if (isFile) yield { name, bytes, content: Readable.from(pieces(), { objectMode: false }) };
    while (left > 0) {
      const skipped = await input.atMost(left);
      if (skipped === undefined) throw new BadArchive(`it ends in the middle of ${name}`);
      left -= skipped.length;
    }
    if (padding > 0) await input.exactly(padding);
  }
}

function parseHeader(header: Buffer) {
  const text = (from: number, length: number): string => {
    const field = header.toString('utf8', from, from + length);
    const end = field.indexOf('\0');
    return end === -1 ? field : field.slice(0, end);
  };
  const sum = header.reduce((total, byte, index) => total + (index >= 148 && index < 156 ? 32 : byte), 0);
  if (Number.parseInt(text(148, 8).trim(), 8) !== sum) throw new BadArchive('it is no tar archive');
  const bytes = Number.parseInt(text(124, 12).trim() || '0', 8);
  if (!Number.isSafeInteger(bytes)) throw new BadArchive('an entry has no size');
  const prefix = header.toString('latin1', 257, 262) === 'ustar' ? text(345, 155) : '';
  const name = (prefix === '' ? text(0, 100) : `${prefix}/${text(0, 100)}`).replace(/^\.\//, '');
  const type = header[156];
  // '0', or NUL in archives older than POSIX.
  return { name, bytes, isFile: type === 48 || type === 0 };
}

function bufferedInput(source: AsyncIterable<Buffer>) {
  const iterator = source[Symbol.asyncIterator]();
  let rest: Buffer = Buffer.alloc(0);
  /** False at the end. */
  const fill = async (): Promise<boolean> => {
    const next = await iterator.next();
    if (next.done === true) return false;
    rest = rest.length === 0 ? next.value : Buffer.concat([rest, next.value]);
    return true;
  };
  const take = (length: number): Buffer => {
    const piece = rest.subarray(0, length);
    rest = rest.subarray(length);
    return piece;
  };
  return {
    /** Undefined at the end; throws when it comes within. */
    async exactly(length: number): Promise<Buffer | undefined> {
      while (rest.length < length) {
        if (await fill()) continue;
        if (rest.length === 0) return undefined;
        throw new BadArchive('it ends early');
      }
      return take(length);
    },
    async atMost(length: number): Promise<Buffer | undefined> {
      if (rest.length === 0 && !(await fill())) return undefined;
      return take(length);
    },
  };
}
