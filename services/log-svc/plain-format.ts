// What a program says to pv-ctrl-log: a JSON object of version 0, or `level= src= message=` pairs. Pure.
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
  version: z.literal(['0', 0]),
  // Of another type: as good as none, and no reason to lose the other.
  level: z.catch(z.optional(z.string()), undefined),
  src: z.catch(z.optional(z.string()), undefined),
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

/**
 * A pair or a word, and the blanks before it. A value with blanks stands in quotes, in which `\"` and `\\` are a quote and a backslash;
 * quotes that nobody closes reach to the end, where the datagram was cut. What looks like the next key is no value.
 */
const TOKEN =
  /(\s*)(?:([^\s="]+)\s*=(?:\s*"((?:[^"\\]|\\.)*)(?:"(?=\s|$)|\\?$)|(?:\s+(?=\S)(?![^\s="]+\s*=))?(\S*))|\S+)/gs;

type Told = 'level' | 'src' | 'message';

function isTold(key: string | undefined): key is Told {
  return key === 'level' || key === 'src' || key === 'message';
}

/**
 * Undefined: it does not begin with a pair, or there is no message in it. Level, source and message are what the first pair of that name
 * says; all else stays in the text, where it stands: a message without quotes may have blanks and `=` in it.
 */
export function parsePairs(datagram: string): Said | undefined {
  const values = new Map<Told, string>();
  let text = '';
  for (const [whole, blanks = '', key, quoted, bare = ''] of datagram.trim().matchAll(TOKEN)) {
    const isFirst = values.size === 0 && text === '';
    if (isFirst && key === undefined) return undefined;
    const separator = text === '' ? '' : blanks;
    if (!isTold(key) || values.has(key)) {
      text += separator + whole.slice(blanks.length);
      continue;
    }
    const value = quoted?.replace(/\\(["\\])/g, '$1') ?? bare;
    values.set(key, value);
    if (key === 'message') text += separator + value;
  }
  if (!values.has('message')) return undefined;
  const src = values.get('src');
  return {
    level: levelOf(values.get('level')),
    src: src === '' ? undefined : src,
    text,
    timeMs: undefined,
    pid: undefined,
  };
}
