// Remembers the last lines of a log that tell of trouble, for whoever asks why an update failed.
import type { Logger } from '../../shared/log/logger.ts';

export interface LogTail {
  /** Everything goes on to the log it was made of. */
  readonly log: Logger;
  /** What comes from now on is remembered; what came before is not. */
  restart(): void;
  /** Remembered as an error of `src`; it is in the log already. */
  quote(src: string, message: string): void;
  /** JSON, one line each with its end, the last ones that fit. Keys: as the stock runtime has them here, which are not those of its log. */
  text(): string;
}

/** Part of an answer that has to fit a message of 64 KiB. */
const MAX_BYTES = 8 * 1024;
const MAX_MESSAGE = 500;

export function createLogTail(log: Logger, nowMs: () => number): LogTail {
  let lines: string[] = [];
  const remember = (lvl: string, msg: string, src = 'state'): void => {
    const now = nowMs();
    const time = { tsec: Math.floor(now / 1000), tnano: Math.floor(now % 1000) * 1_000_000 };
    lines.push(JSON.stringify({ ...time, platform: 'pantavisor', lvl, src, msg: msg.slice(0, MAX_MESSAGE) }));
    while (lines.reduce((bytes, line) => bytes + Buffer.byteLength(line) + 1, 0) > MAX_BYTES) lines = lines.slice(1);
  };
  const heard =
    (level: 'fatal' | 'error' | 'warn', lvl: string) =>
    (message: string, fields?: object): void => {
      remember(lvl, message);
      log[level](message, fields);
    };
  return {
    log: {
      ...log,
      fatal: heard('fatal', 'FATAL'),
      error: heard('error', 'ERROR'),
      warn: heard('warn', 'WARN'),
    },
    restart() {
      lines = [];
    },
    quote: (src, message) => remember('ERROR', message, src),
    text: () => lines.map((line) => `${line}\n`).join(''),
  };
}
