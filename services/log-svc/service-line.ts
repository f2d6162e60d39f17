// One line of a service's pipe as a message, or two. Pure: what is no message is kept as text, so that nothing is lost to a bad writer.
import * as z from 'zod/mini';
import type { Level, LogMessage } from './log-flow.ts';

/** The last instant that a Date can say (ECMA-262, 21.4.1.1). */
const MAX_TIME_MS = 8.64e15;
const MAX_SRC_LENGTH = 64;

/** As shared/log writes it with pino. */
const written = z.looseObject({
  level: z.number(),
  time: z.number().check(z.minimum(0), z.maximum(MAX_TIME_MS)),
  src: z.string().check(z.minLength(1), z.maxLength(MAX_SRC_LENGTH)),
  msg: z.string(),
});

/** pino's numbers; one between two names counts as the lower. */
function levelName(level: number): Level {
  if (level >= 60) return 'FATAL';
  if (level >= 50) return 'ERROR';
  if (level >= 40) return 'WARN';
  if (level >= 30) return 'INFO';
  return level >= 20 ? 'DEBUG' : 'TRACE';
}

/** As our logger begins each; within a message's text the quotes are escaped. */
const BEGINNING = '{"level":';

/**
 * `service` is at the other end of the pipe; `nowMs` dates what has no date of its own. Half a line, and another one right behind it, are two:
 * whoever wrote the first one was killed, or this service was while it put it by.
 */
export function parseServiceLine(line: string, service: string, nowMs: number): readonly LogMessage[] {
  const whole = messageIn(line, service);
  if (whole !== undefined) return [whole];
  const origin = { kind: 'service', name: service } as const;
  const asText = (text: string): LogMessage => {
    return { timeMs: nowMs, level: 'WARN', origin, src: service, text, fields: {} };
  };
  const start = line.lastIndexOf(BEGINNING);
  const last = start > 0 ? messageIn(line.slice(start), service) : undefined;
  return last === undefined ? [asText(line)] : [asText(line.slice(0, start)), last];
}

function messageIn(line: string, service: string): LogMessage | undefined {
  const parsed = written.safeParse(jsonOf(line));
  if (!parsed.success) return undefined;
  const { level, time, src, msg, ...fields } = parsed.data;
  const origin = { kind: 'service', name: service } as const;
  return { timeMs: time, level: levelName(level), origin, src, text: msg, fields };
}

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
