// What a program says to pv-ctrl-log: a JSON object of version "0", or `level= src= message=` pairs. Pure.
import * as z from 'zod/mini';
import type { Level } from './log-flow.ts';
import type { Said } from './syslog-format.ts';

const LEVELS: ReadonlySet<string> = new Set(['FATAL', 'ERROR', 'WARN', 'INFO', 'DEBUG', 'TRACE']);

function isLevel(name: string): name is Level {
  return LEVELS.has(name);
}

/** Case does not matter; a level that nobody knows is no reason to lose the message. */
export function levelOf(name: string | undefined): Level {
  const upper = (name ?? '').toUpperCase();
  return isLevel(upper) ? upper : 'INFO';
}

const written = z.looseObject({
  version: z.literal('0'),
  level: z.optional(z.string()),
  src: z.optional(z.string()),
  message: z.string(),
});

/** Undefined: no JSON object of version "0" with a message. */
export function parseJsonMessage(datagram: string): Said | undefined {
  if (!datagram.startsWith('{')) return undefined;
  const parsed = written.safeParse(jsonOf(datagram));
  if (!parsed.success) return undefined;
  const { level, src, message } = parsed.data;
  return { level: levelOf(level), src: src === '' ? undefined : src, text: message, timeMs: undefined, pid: undefined };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A value with blanks stands in quotes, in which `\"` and `\\` are a quote and a backslash. */
const PAIR = /\s*(level|src|message)=(?:"((?:[^"\\]|\\.)*)"|([^\s"]\S*|))(?=\s|$)/sy;

/** Undefined: something else stands in it as well, or there is no message in it. Of a key that comes twice the last one counts. */
export function parsePairs(datagram: string): Said | undefined {
  const text = datagram.trimEnd();
  const values = new Map<string, string>();
  PAIR.lastIndex = 0;
  let end = 0;
  for (let pair = PAIR.exec(text); pair !== null; pair = PAIR.exec(text)) {
    const [, key = '', quoted, bare = ''] = pair;
    values.set(key, quoted?.replace(/\\(["\\])/g, '$1') ?? bare);
    end = PAIR.lastIndex;
  }
  const message = values.get('message');
  if (message === undefined || end !== text.length) return undefined;
  const src = values.get('src');
  return {
    level: levelOf(values.get('level')),
    src: src === '' ? undefined : src,
    text: message,
    timeMs: undefined,
    pid: undefined,
  };
}
