// Cuts a stream of bytes into lines of bounded length. Pure: no line grows memory past the bound, whatever the writer does.
export interface LineSplitter {
  /** The lines that `chunk` completes, without their "\n". Empty ones are left out. */
  push(chunk: Buffer): string[];
  /** Bytes held back because their line is not complete. */
  readonly pendingBytes: number;
  /** These bytes, base64. */
  pending(): string;
}

const NEWLINE = 0x0a;

/** Of a longer line the first `maxLineBytes` are kept, and a note says how many were cut. */
export function createLineSplitter(maxLineBytes: number): LineSplitter {
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  let cutBytes = 0;

  const keep = (part: Buffer): void => {
    const kept = part.subarray(0, maxLineBytes - pendingBytes);
    cutBytes += part.length - kept.length;
    if (kept.length === 0) return;
    // A copy: the chunk is the reader's.
    pending.push(Buffer.from(kept));
    pendingBytes += kept.length;
  };
  const take = (): string[] => {
    const text = Buffer.concat(pending).toString('utf8');
    const line = cutBytes === 0 ? text : `${text} … (${cutBytes} bytes cut)`;
    pending = [];
    pendingBytes = 0;
    cutBytes = 0;
    return line === '' ? [] : [line];
  };

  return {
    push(chunk) {
      const lines: string[] = [];
      let start = 0;
      for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
        keep(chunk.subarray(start, end));
        lines.push(...take());
        start = end + 1;
      }
      keep(chunk.subarray(start));
      return lines;
    },
    get pendingBytes() {
      return pendingBytes;
    },
    pending: () => Buffer.concat(pending).toString('base64'),
  };
}
