// One message as one line of pantavisor.log: `[2026-11-21T02:00:00.123Z] INFO  [ipam] text key=value`. Pure.
import { isoTime } from '../../shared/time/iso-time.ts';
import type { LogMessage } from './log-flow.ts';
import type { TimeFormat } from './time-format.ts';

const LEVEL_WIDTH = 5;
/** What would break the line, or steer the terminal of whoever reads it: C0 without tab, DEL, C1, and Unicode's own line breaks. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this is about
const UNPRINTABLE = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u2028\u2029]/g;
/** Values and keys that can stand without quotes and still be told apart. */
const PLAIN = /^[^\s"=\\]+$/;

/** Ends in "\n" and contains no other. */
export function messageLine(message: LogMessage, format: TimeFormat = isoTime): string {
  const { timeMs, level, src } = message;
  const line = `[${format(timeMs)}] ${level.padEnd(LEVEL_WIDTH)} [${src}] ${messageText(message)}`;
  return `${escapeControls(line)}\n`;
}

/** As messageLine, where lines of several containers are beside each other: `[2026-11-21T02:00:00.123Z] INFO  [web] [lxc/console.log] text`. */
export function platformLine(message: LogMessage, format: TimeFormat = isoTime): string {
  return messageLine({ ...message, src: `${platformOf(message)}] [${message.src}` }, format);
}

/** What Pantavisor calls a platform: the container, or `pantavisor` for what is ours. */
export function platformOf({ origin }: LogMessage): string {
  return origin.kind === 'container' ? origin.name : 'pantavisor';
}

/** With the fields behind it; may contain line breaks. */
export function messageText({ text, fields }: LogMessage): string {
  const extra = Object.entries(fields).map(([key, value]) => ` ${word(key)}=${word(value)}`);
  return `${text}${extra.join('')}`;
}

function word(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? 'undefined');
  return PLAIN.test(text) || typeof value !== 'string' ? text : JSON.stringify(text);
}

function escapeControls(text: string): string {
  return text.replace(UNPRINTABLE, (char) => {
    if (char === '\n') return '\\n';
    if (char === '\r') return '\\r';
    return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
