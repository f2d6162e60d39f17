// Output: everything in one file, <storage>/logs/<rev>/pv.log, one JSON object a line, with Pantavisor's keys.

import { SINGLE_FILE } from './line-files.ts';
import type { LogMessage } from './log-flow.ts';
import type { LogFolder } from './log-folder.ts';
import { messageText, platformOf } from './message-line.ts';
import type { TimeFormat } from './time-format.ts';

/** Takes lines only: see line-cutter.ts. */
export function createSingleFile(folder: LogFolder, format?: TimeFormat): (batch: readonly LogMessage[]) => void {
  return (batch) => folder.append(SINGLE_FILE, Buffer.from(batch.map((message) => jsonLine(message, format)).join('')));
}

/** Ends in "\n" and contains no other. `tsec` and `tnano` are since 1970-01-01 UTC; `ts` is there when a format is asked for. */
export function jsonLine(message: LogMessage, format?: TimeFormat): string {
  const { timeMs, level, src } = message;
  const tsec = Math.floor(timeMs / 1000);
  const tnano = Math.floor((timeMs - tsec * 1000) * 1_000_000);
  const ts = format === undefined ? {} : { ts: format(timeMs) };
  return `${JSON.stringify({ tsec, tnano, ...ts, plat: platformOf(message), lvl: level, src, msg: messageText(message) })}\n`;
}
