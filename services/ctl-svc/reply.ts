// What an endpoint answers, and the one place where it becomes bytes of HTTP.
import { Buffer } from 'node:buffer';
import type { FileHandle } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { pipeline } from 'node:stream';
import type { Fault } from '../../shared/ipc/fault.ts';
import { httpDate, secondsOf } from '../../shared/time/http-date.ts';

export interface ErrorReply {
  readonly kind: 'error';
  readonly status: number;
  readonly text: string;
  readonly retryAfterSeconds?: number;
  /** More than clients compare: each thing that is wrong, in a header that they do not look at. */
  readonly problems?: readonly string[];
}

export type Reply =
  | { readonly kind: 'json'; readonly status: 200 | 503; readonly json: string | Uint8Array }
  /** 200 without a body: what a PUT, POST or DELETE answers when it went well. */
  | { readonly kind: 'empty' }
  /** `contentType`: of a text that is not plain. */
  | { readonly kind: 'text'; readonly text: string; readonly contentType?: string }
  /** The bytes of a file that is open; closed in any case. */
  | { readonly kind: 'file'; readonly file: FileHandle; readonly bytes: number; readonly contentType: string }
  /** An answer that goes on until one side ends it; `start` is given the response once its head is sent. */
  | { readonly kind: 'stream'; readonly contentType: string; readonly start: (response: ServerResponse) => void }
  | ErrorReply;

export const JSON_TYPE = 'application/json';
export const TEXT_TYPE = 'text/plain; charset=utf-8';

export function json(value: unknown, status: 200 | 503 = 200): Reply {
  return { kind: 'json', status, json: JSON.stringify(value) };
}

/** Already serialised: bytes that many requests share. */
export function jsonBytes(bytes: Uint8Array): Reply {
  return { kind: 'json', status: 200, json: bytes };
}

export const DONE: Reply = { kind: 'empty' };

export function refuse(status: number, text: string, problems?: readonly string[]): ErrorReply {
  return problems === undefined ? { kind: 'error', status, text } : { kind: 'error', status, text, problems };
}

export function tryLater(text: string): ErrorReply {
  return { kind: 'error', status: 503, text, retryAfterSeconds: 1 };
}

export const NO_VIEW = tryLater('state-svc has not said yet which containers there are; try again');

export function statusOf(reply: Reply): number {
  return reply.kind === 'json' || reply.kind === 'error' ? reply.status : 200;
}

/** A message that got no answer of its contract: 503 that names the service, whichever fault it was. */
export function unanswered(fault: Fault): ErrorReply {
  const service = fault.topic.split('.', 1)[0] ?? fault.topic;
  switch (fault.code) {
    case 'TIMEOUT':
    case 'CANCELLED':
      return tryLater(`${service} did not answer in time; try again`);
    case 'PEER_GONE':
      return tryLater(
        `${service} ended before it answered and is being restarted; look whether it acted, then try again`,
      );
    case 'OVERLOADED':
      return tryLater(`${service} has too many requests waiting; try again`);
    case 'DENIED':
    case 'BAD_PARAMS':
    case 'BAD_RESULT':
    case 'INTERNAL':
      return tryLater(`${service} failed (${fault.code}); its log says why`);
  }
}

/** The client compares some of these texts literally: no space after the colon. */
export function errorBody(text: string): string {
  return JSON.stringify({ Error: text });
}

/** `lastOne`: the connection ends after this answer, because unread bytes of the request would follow it. */
export function writeReply(response: ServerResponse, reply: Reply, lastOne: boolean): void {
  if (reply.kind === 'stream') {
    writeHead(response, 200, ['Content-Type', reply.contentType, 'Cache-Control', 'no-store']);
    reply.start(response);
    return;
  }
  if (reply.kind === 'file') {
    writeFile(response, reply, lastOne);
    return;
  }
  const body =
    reply.kind === 'text'
      ? reply.text
      : reply.kind === 'empty'
        ? ''
        : reply.kind === 'error'
          ? errorBody(reply.text)
          : reply.json;
  const bytes = typeof body === 'string' ? Buffer.byteLength(body) : body.length;
  const headers: string[] = ['Content-Length', String(bytes)];
  if (bytes > 0) headers.push('Content-Type', reply.kind === 'text' ? (reply.contentType ?? TEXT_TYPE) : JSON_TYPE);
  if (reply.kind === 'error' && reply.retryAfterSeconds !== undefined) {
    headers.push('Retry-After', String(reply.retryAfterSeconds));
  }
  if (reply.kind === 'error' && reply.problems !== undefined) headers.push(PROBLEMS_HEADER, ascii(reply.problems));
  if (lastOne) headers.push('Connection', 'close');
  writeHead(response, statusOf(reply), headers);
  response.end(body);
}

/** For a client that is gone before its reply is there: nothing that came with it stays open. */
export function dropReply(reply: Reply): void {
  // Nobody is there to be told that a file which was only read cannot be closed.
  if (reply.kind === 'file') reply.file.close().catch(() => undefined);
}

const dateNow = secondsOf(httpDate);

/** Node's own Date brings ICU's time zones into memory, and a timer for each second in which something is answered. */
function writeHead(response: ServerResponse, status: number, headers: readonly string[]): void {
  response.sendDate = false;
  response.writeHead(status, [...headers, 'Date', dateNow(Date.now())]);
}

/** A JSON array of texts. */
export const PROBLEMS_HEADER = 'Berth-Problems';
/** What clients take of a header, with room for others. */
const MAX_PROBLEMS_CHARS = 6_000;

function ascii(problems: readonly string[]): string {
  const write = (list: readonly string[]): string =>
    JSON.stringify(list).replaceAll(/[^ -~]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
  const list = [...problems];
  while (list.length > 1 && write(list).length > MAX_PROBLEMS_CHARS) list.pop();
  return write(list).length > MAX_PROBLEMS_CHARS ? '[]' : write(list);
}

function writeFile(
  response: ServerResponse,
  { file, bytes, contentType }: Extract<Reply, { kind: 'file' }>,
  lastOne: boolean,
): void {
  const headers = ['Content-Length', String(bytes), 'Content-Type', contentType];
  if (lastOne) headers.push('Connection', 'close');
  writeHead(response, 200, headers);
  // Either side may end it early; the stream closes the file then as well.
  pipeline(file.createReadStream({ start: 0, end: Math.max(0, bytes - 1) }), response, () => undefined);
}

const REASONS: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  408: 'Request Timeout',
  413: 'Payload Too Large',
  431: 'Request Header Fields Too Large',
};

/** For requests that never became one: the whole answer, as bytes on the connection. */
export function rawReply(status: number, text: string): string {
  const body = errorBody(text);
  return (
    `HTTP/1.1 ${status} ${REASONS[status] ?? 'Error'}\r\nContent-Type: ${JSON_TYPE}\r\n` +
    `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`
  );
}
