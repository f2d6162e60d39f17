// Says what is wrong with the bytes that came back for a case: nothing but whole answers, each of the shape that clients rely on.
import type { Buffer } from 'node:buffer';
import { holdAgainstDocument } from '../../test/kit/declared.ts';
import type { FuzzCase } from './case.ts';

export interface Answer {
  readonly status: number;
  readonly contentType: string | undefined;
  readonly body: string;
}

export interface Verdict {
  readonly statuses: readonly number[];
  readonly problems: readonly string[];
}

const ERROR = /^\{"Error":"(?:[^"\\]|\\.)+"\}$/;
const BLANK = '\r\n\r\n';

/** `received`: all that came until the server ended the connection. */
export function judge(fuzzed: FuzzCase, received: Buffer): Verdict {
  const { answers, rest } = parseAnswers(received, fuzzed);
  const problems = answers.flatMap((answer) => problemOf(answer) ?? []);
  if (rest !== undefined && fuzzed.end === 'half') problems.push(rest);
  if (fuzzed.sent !== undefined && fuzzed.end === 'half') problems.push(...comparisons(fuzzed.sent, answers));
  return { statuses: answers.map(({ status }) => status), problems };
}

function problemOf({ status, body }: Answer): string | undefined {
  const ok = status === 200 || (status === 503 && body.startsWith('{"status":'));
  const shown = `${status} ${body.slice(0, 200)}`;
  if (!ok && !ERROR.test(body) && body !== '') return `an error without its shape: ${shown}`;
  if (status < 500 || status === 503 || status === 507) return undefined;
  // What the reference says for signals that nobody expects.
  return status === 500 && body.startsWith('{"Error":"Signal ') ? undefined : `a failure: ${shown}`;
}

/** Requests that are as they should be are answered one by one, up to the answer that ends the connection. */
function comparisons(sent: NonNullable<FuzzCase['sent']>, answers: readonly Answer[]): readonly string[] {
  if (answers.length === 0) return ['no answer'];
  if (answers.length > sent.length) return [`${answers.length} answers to ${sent.length} requests`];
  return answers.flatMap((answer, index) => {
    const request = sent[index];
    // One is kept apart from the limit of requests at a time, and from /events, which never ends.
    if (request === undefined || [408, 503].includes(answer.status)) return [];
    try {
      holdAgainstDocument({ ...request, ...answer });
      return [];
    } catch (error) {
      return [error instanceof Error ? error.message.slice(0, 600) : String(error)];
    }
  });
}

function parseAnswers(received: Buffer, { sent }: FuzzCase): { answers: Answer[]; rest: string | undefined } {
  const answers: Answer[] = [];
  let at = 0;
  while (at < received.length) {
    const end = received.indexOf(BLANK, at);
    const head = received.toString('latin1', at, end);
    if (end === -1 || !/^HTTP\/1\.1 \d{3} /.test(head)) {
      return { answers, rest: `no answer but ${JSON.stringify(received.toString('latin1', at, at + 200))}` };
    }
    at = end + BLANK.length;
    const status = Number(head.slice(9, 12));
    if (status === 100) continue;
    const isHead = sent?.[answers.length]?.method === 'HEAD';
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? Number.NaN);
    const contentType = /\r\ncontent-type: ([^\r]*)/i.exec(head)?.[1];
    // A stream of events goes to the end of the connection.
    const isLast = Number.isNaN(length);
    const bytes = isLast ? received.length - at : hasNoBody(received, at, length, isHead) ? 0 : length;
    if (at + bytes > received.length)
      return { answers, rest: `an answer that lacks ${at + bytes - received.length} bytes` };
    const body = isLast ? '' : received.toString('utf8', at, at + bytes);
    answers.push({ status, contentType, body });
    at += bytes;
  }
  return { answers, rest: undefined };
}

/** HEAD may be what damaged bytes became: then the next answer, or the end, follows at once. */
function hasNoBody(received: Buffer, at: number, length: number, isHead: boolean): boolean {
  return isHead || (length > 0 && (at === received.length || received.toString('latin1', at, at + 9) === 'HTTP/1.1 '));
}
