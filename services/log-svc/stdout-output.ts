// Output: the supervisor's own stdout, which whoever started Berth reads, or does not, or has closed: never waited for, bounded, counted.
import { errorCode } from '../../shared/kernel/system-error.ts';
import type { HealthReason } from '../../shared/schema/health.ts';
import type { LogMessage } from './log-flow.ts';
import { platformLine } from './message-line.ts';
import type { Writer } from './stdout-writer.ts';
import type { TimeFormat } from './time-format.ts';

/** What waits for a reader; more is dropped. */
const MAX_WAITING_BYTES = 256 * 1024;
const RETRY_MS = 100;

export interface StdoutOutput {
  messages(batch: readonly LogMessage[]): void;
  troubles(): readonly HealthReason[];
  close(): void;
}

/** `write` never waits. */
export function createStdout(fd: number, write: Writer, format?: TimeFormat): StdoutOutput {
  let waiting: Buffer[] = [];
  let waitingBytes = 0;
  let droppedLines = 0;
  let reason = '';
  let timer: NodeJS.Timeout | undefined;

  const add = (line: string): void => {
    const bytes = Buffer.from(line);
    if (waitingBytes + bytes.length > MAX_WAITING_BYTES) {
      droppedLines += 1;
      return;
    }
    waiting.push(bytes);
    waitingBytes += bytes.length;
  };
  /** Keeps what was not taken. */
  const flush = (): void => {
    if (waitingBytes === 0) return;
    const all = Buffer.concat(waiting);
    let written = 0;
    try {
      while (written < all.length) written += write(fd, all.subarray(written));
      reason = '';
    } catch (error) {
      reason = codeOf(error);
    }
    waiting = written < all.length ? [all.subarray(written)] : [];
    waitingBytes = all.length - written;
    if (waitingBytes === 0 && droppedLines > 0) tellDropped();
    if (waitingBytes > 0) timer ??= setTimeout(again, RETRY_MS).unref();
  };
  const again = (): void => {
    timer = undefined;
    flush();
  };
  const tellDropped = (): void => {
    const text = `dropped ${droppedLines} lines here: stdout was not read`;
    droppedLines = 0;
    add(platformLine({ timeMs: Date.now(), level: 'WARN', ...OWN, text }, format));
    flush();
  };
  return {
    messages(batch) {
      for (const message of batch) add(platformLine(message, format));
      if (timer === undefined) flush();
    },
    troubles() {
      // A reader that is slow for a moment is none.
      if (reason === '' || (reason === 'EAGAIN' && droppedLines === 0)) return [];
      const what = reason === 'EAGAIN' ? 'nobody reads it' : reason;
      const message = `stdout cannot be written: ${what}; ${droppedLines} lines dropped so far. Read it, or leave stdout out of PV_LOG_SERVER_OUTPUTS`;
      return [{ code: 'LOG_UNWRITABLE', subject: 'stdout', message }];
    },
    close() {
      clearTimeout(timer);
      flush();
      clearTimeout(timer);
    },
  };
}

const OWN = { origin: { kind: 'service', name: 'log-svc' }, src: 'log', fields: {} } as const;

/** Node's errors have a `code`, those of shared/kernel an `errno`. Their class is not asked for: it would bring the native code with it. */
function codeOf(error: unknown): string {
  if (error instanceof Error && 'errno' in error && typeof error.errno === 'string') return error.errno;
  return errorCode(error) || String(error);
}
