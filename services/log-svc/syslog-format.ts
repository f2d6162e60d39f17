// What a program says to /dev/log: RFC 5424 when a `1 ` follows the priority, else RFC 3164 as C libraries and loggers write it. Pure.
import type { Level } from './log-flow.ts';

export interface Said {
  readonly level: Level;
  /** Undefined when the message names nobody. */
  readonly src: string | undefined;
  readonly text: string;
  /** Milliseconds since 1970-01-01 UTC; undefined where the message leaves year or time zone open, or has no time. */
  readonly timeMs: number | undefined;
  readonly pid: number | undefined;
}

/** What senders put behind a message. Looking behind keeps a run of them inside from being tried again at each: a datagram has room for thirty thousand. */
export function withoutEnd(text: string): string {
  return text.replace(/(?<![\0\n\r])[\0\n\r]+$/, '');
}

/** RFC 3164, 4.1.1: facility (0–23) × 8 + severity. */
const PRIORITY = /^<(\d{1,3})>/;
const MAX_PRIORITY = 191;
/** By severity, RFC 5424, 6.2.1: emergency, alert, critical, error, warning, notice, informational, debug. */
export const SEVERITY_LEVELS: readonly Level[] = ['FATAL', 'FATAL', 'ERROR', 'ERROR', 'WARN', 'INFO', 'INFO', 'DEBUG'];

/** `Nov 21 14:10:59 `, without year and in the sender's own time zone. */
const OLD_TIME = /^[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d /;
/** `sshd[123]: `; RFC 3164 has only letters and digits in it, programs have more. */
const TAG = /^([^\s:[\]]{1,128})(?:\[([^\]\s]{0,32})\])?: ?/;
/** Senders that write one put it before the tag; C libraries write none. */
const HOST = /^[^\s:[\]]{1,255} (?=[^\s:[\]]{1,128}(?:\[[^\]\s]{0,32}\])?:)/;

/** VERSION SP TIMESTAMP SP HOSTNAME SP APP-NAME SP PROCID SP MSGID SP, each but the first `-` when there is none. */
const NEW_HEADER = /^1 (\S{1,64}) \S{1,255} (\S{1,128}) (\S{1,128}) \S{1,128} ?/;
const NEW_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/;
const BYTE_ORDER_MARK = '\ufeff';

/** Undefined: it does not begin with a priority. */
export function parseSyslog(datagram: string): Said | undefined {
  const found = PRIORITY.exec(datagram);
  const priority = Number(found?.[1] ?? Number.NaN);
  if (found === null || priority > MAX_PRIORITY) return undefined;
  const level = SEVERITY_LEVELS[priority % 8] ?? 'INFO';
  const rest = datagram.slice(found[0].length);
  return rest.startsWith('1 ') ? parseNew(rest, level) : parseOld(rest, level);
}

function parseOld(rest: string, level: Level): Said {
  const { length, timeMs } = leadingTime(rest);
  // Only behind a time: without one, the first word is more likely to be somebody's text.
  const body = length === 0 ? rest : rest.slice(length).replace(HOST, '');
  const tag = TAG.exec(body);
  const text = tag === null ? body : body.slice(tag[0].length);
  return { level, src: tag?.[1], text, timeMs, pid: pidOf(tag?.[2]) };
}

/** Some daemons write the time of RFC 5424 into messages of the old form. */
function leadingTime(rest: string): { readonly length: number; readonly timeMs: number | undefined } {
  const old = OLD_TIME.exec(rest);
  if (old !== null) return { length: old[0].length, timeMs: undefined };
  const word = /^\S{20,40} /.exec(rest)?.[0] ?? '';
  const timeMs = timeOf(word.trimEnd());
  return { length: timeMs === undefined ? 0 : word.length, timeMs };
}

function parseNew(rest: string, level: Level): Said {
  const header = NEW_HEADER.exec(rest);
  // Not what it claims to be: nothing of it is thrown away.
  if (header === null) return { level, src: undefined, text: rest, timeMs: undefined, pid: undefined };
  const [whole, time = '', app = '-', pid] = header;
  const body = rest.slice(whole.length);
  const message = body.slice(structuredDataLength(body)).replace(/^ /, '');
  const text = message.startsWith(BYTE_ORDER_MARK) ? message.slice(1) : message;
  return { level, src: app === '-' ? undefined : app, text, timeMs: timeOf(time), pid: pidOf(pid) };
}

/** `-`, or elements in brackets in whose quoted values `"`, `\` and `]` are escaped (RFC 5424, 6.3); 0 where neither stands. */
function structuredDataLength(body: string): number {
  if (/^-(?: |$)/.test(body)) return 1;
  let at = 0;
  while (body[at] === '[') {
    const end = elementEnd(body, at);
    if (end === undefined) return at;
    at = end;
  }
  return at;
}

function elementEnd(body: string, start: number): number | undefined {
  let quoted = false;
  for (let at = start + 1; at < body.length; at += 1) {
    const char = body[at];
    if (quoted && char === '\\') at += 1;
    else if (char === '"') quoted = !quoted;
    else if (char === ']' && !quoted) return at + 1;
  }
  return undefined;
}

function timeOf(text: string): number | undefined {
  if (!NEW_TIME.test(text)) return undefined;
  const [whole = '', fraction = '', zone = ''] = text.split(/(\.\d+)?(Z|[+-]\d\d:\d\d)$/);
  const timeMs = Date.parse(`${whole}${zone}`);
  return Number.isNaN(timeMs) ? undefined : timeMs + Number(`0${fraction}`) * 1000;
}

function pidOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}
