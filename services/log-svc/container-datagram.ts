// One datagram of a container as a message, whichever of its sockets it came through. Pure: what nothing understands is kept as text.
import { parseBinary } from './binary-format.ts';
import type { LogMessage } from './log-flow.ts';
import { parseJsonMessage, parsePairs } from './plain-format.ts';
import { parseSyslog, type Said, withoutEnd } from './syslog-format.ts';

/** Longer ones are cut; JSON that does not fit is kept as text. */
export const MAX_DATAGRAM_BYTES = 32 * 1024;
export const MAX_TEXT_LENGTH = 16 * 1024;
export const MAX_SRC_LENGTH = 64;
/** As the stock runtime calls it. */
const UNKNOWN_SRC = 'unknown-app';
/**
 * The clock of a container is the machine's, and a message waits as long as this service is down. A time further away than that is
 * a mistake or a lie; what arrives later than a message's own second is put right by it.
 */
const MAX_WAIT_MS = 3_600_000;
const MAX_AHEAD_MS = 1_000;

export interface Arrival {
  /** Known by the socket. */
  readonly container: string;
  readonly nowMs: number;
  /** Of the datagram; more than the bytes at hand when it was cut. */
  readonly length: number;
}

/**
 * The time is the message's own where it is a whole one near the arrival (RFC 5424), else that of the arrival: RFC 3164 says neither
 * the year nor the time zone, which is the container's, and no more than the second.
 */
export function parseDatagram(bytes: Buffer, { container, nowMs, length }: Arrival): LogMessage {
  const { level, src, text, timeMs, pid } = parseBinary(bytes) ?? understand(withoutEnd(bytes.toString('utf8')));
  return {
    timeMs: timeMs !== undefined && isNear(timeMs, nowMs) ? timeMs : nowMs,
    level,
    origin: { kind: 'container', name: container },
    src: (src ?? UNKNOWN_SRC).slice(0, MAX_SRC_LENGTH),
    text: cut(text, length - bytes.length),
    fields: pid === undefined ? {} : { pid },
  };
}

function understand(datagram: string): Said {
  const said = parseSyslog(datagram) ?? parseJsonMessage(datagram) ?? parsePairs(datagram);
  return said ?? { level: 'INFO', src: undefined, text: datagram, timeMs: undefined, pid: undefined };
}

function isNear(timeMs: number, nowMs: number): boolean {
  return timeMs >= nowMs - MAX_WAIT_MS && timeMs <= nowMs + MAX_AHEAD_MS;
}

function cut(text: string, missingBytes: number): string {
  const kept = text.length > MAX_TEXT_LENGTH ? text.slice(0, MAX_TEXT_LENGTH) : text;
  const cutBytes = missingBytes + Buffer.byteLength(text.slice(kept.length));
  return cutBytes <= 0 ? kept : `${kept} … (${cutBytes} bytes cut)`;
}
