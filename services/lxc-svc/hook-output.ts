// What a hook prints, as lines of the log under the hook's name; of a hook that talks without end, the beginning and the end.
import { StringDecoder } from 'node:string_decoder';
import type { Logger } from '../../shared/log/logger.ts';

export interface HookOutput {
  /** Bytes as they come. */
  out(chunk: Buffer): void;
  err(chunk: Buffer): void;
  /** Nothing more comes: what has no line break yet is a line. */
  end(): void;
  /** The last lines of stderr, or of stdout where it said nothing else: for whoever asks why it failed. */
  words(): readonly string[];
}

const MAX_LINE = 500;
/** Of one run. */
const MAX_LINES = 1000;
/** With what else is said of it, a message of 64 KiB takes them. */
const MAX_WORDS = 20;

/** `log`: the hook's own. */
export function createHookOutput(log: Logger): HookOutput {
  let lines = 0;
  const tell = (line: string, level: 'info' | 'warn'): void => {
    lines += 1;
    if (lines <= MAX_LINES) log[level](line);
  };
  const out = lineReader((line) => tell(line, 'info'));
  const err = lineReader((line) => tell(line, 'warn'));
  return {
    out: out.take,
    err: err.take,
    end() {
      out.end();
      err.end();
      if (lines > MAX_LINES) log.warn(`${lines - MAX_LINES} lines left out here: ${MAX_LINES} of one run are kept`);
    },
    words: () => (err.last.length > 0 ? err.last : out.last),
  };
}

function lineReader(tell: (line: string) => void) {
  const decoder = new StringDecoder('utf8');
  const last: string[] = [];
  let begun = '';
  const line = (whole: string): void => {
    const text = whole.trimEnd().slice(0, MAX_LINE);
    if (text === '') return;
    last.push(text);
    if (last.length > MAX_WORDS) last.shift();
    tell(text);
  };
  return {
    last,
    take(chunk: Buffer) {
      const parts = (begun + decoder.write(chunk)).split('\n');
      // Somebody who never ends a line does not fill the memory.
      begun = (parts.pop() ?? '').slice(0, MAX_LINE);
      for (const part of parts) line(part);
    },
    end() {
      line(begun);
      begun = '';
    },
  };
}
