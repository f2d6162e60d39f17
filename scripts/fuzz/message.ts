// How requests are written: head, headers and framing, from what the standard says to what it forbids.
import { Buffer } from 'node:buffer';
import type { Dice } from '../../test/kit/dice.ts';

export interface Message {
  readonly method: string;
  readonly target: string;
  readonly bytes: Buffer;
  /** The standard has one reading of it, and the whole of it is there. */
  readonly regular: boolean;
}

export interface Draft {
  readonly method: string;
  readonly target: string;
  readonly version: string;
  readonly headers: readonly string[];
  readonly body: Buffer;
}

const HARMLESS: readonly [string, ...string[]] = [
  'X-Empty:',
  'Host: localhost',
  'Accept: */*',
  'Content-Type: application/json',
  'User-Agent: curl/8.0',
  'X-A: b',
  'Range: bytes=0-1',
  'Last-Event-ID: 5',
  'Last-Event-ID: x',
  'Authorization: Basic eA==',
  'Cookie: a=b',
  'If-None-Match: *',
  'TE: trailers',
];
/** They change how the request is read, or whether it is. */
const ODD: readonly [string, ...string[]] = [
  'Trailer: x',
  'Expect: 100-continue',
  'Expect: x',
  'Connection: close',
  'Connection: upgrade',
  'Upgrade: websocket',
  'Host: a\r\nHost: b',
  'Transfer-Encoding: identity',
  'Transfer-Encoding: gzip',
  'Content-Length: -1',
  'Content-Length: 99999999999999999999',
  'Content-Length: 0x10',
  'nonsense',
  ': x',
  'X: \u0000',
  'X: a\r\n folded',
  'X y: z',
  `X: ${'x'.repeat(20_000)}`,
];

export function headersFor(die: Dice): readonly string[] {
  const headers: string[] = Array.from({ length: die.below(4) }, () => die.pick(HARMLESS));
  if (die.below(8) === 0) headers.push(die.pick(ODD));
  return headers;
}

const REGULAR_TARGET = /^\/[!-~]*$/;

export function framed({ method, target, version, headers, body }: Draft, die: Dice): Message {
  const odd = headers.some((header) => !HARMLESS.includes(header));
  const head = (more: readonly string[]): Buffer =>
    Buffer.from([`${method} ${target} ${version}`, ...headers, ...more, '', ''].join('\r\n'), 'latin1');
  const wellKnown = /^(GET|PUT|POST|DELETE)$/.test(method) && REGULAR_TARGET.test(target) && !target.includes('#');
  const regular = wellKnown && version === 'HTTP/1.1' && !odd;
  const made = (bytes: Buffer, isWhole = true): Message => ({ method, target, bytes, regular: regular && isWhole });
  const length = (bytes: number): string => `Content-Length: ${bytes}`;
  if (body.length === 0 && die.below(3) > 0) return made(head([]));
  switch (die.below(16)) {
    case 0:
      return made(Buffer.concat([head([length(body.length + 1 + die.below(100))]), body]), false);
    case 1:
      return made(Buffer.concat([head([length(Math.floor(body.length / 2))]), body]), false);
    case 2:
      return made(
        Buffer.concat([head([length(body.length), 'Transfer-Encoding: chunked']), chunked(body, die)]),
        false,
      );
    case 3:
      return made(Buffer.concat([head([length(body.length), 'Transfer-Encoding: identity']), body]), false);
    case 4:
      return made(Buffer.concat([head(['Transfer-Encoding: chunked']), Buffer.from('zz\r\n'), body]), false);
    case 5:
    case 6:
    case 7:
    case 8:
      return made(Buffer.concat([head(['Transfer-Encoding: chunked']), chunked(body, die)]));
    default:
      return made(Buffer.concat([head([length(body.length)]), body]));
  }
}

function chunked(body: Buffer, die: Dice): Buffer {
  const parts: Buffer[] = [];
  for (let from = 0; from < body.length; ) {
    const size = 1 + die.below(Math.min(body.length - from, 5_000));
    const piece = body.subarray(from, from + size);
    parts.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n'));
    from += size;
  }
  return Buffer.concat([...parts, Buffer.from('0\r\n\r\n')]);
}

/** A few bytes changed, put in or taken out, or the end missing. */
export function damaged(die: Dice, bytes: Buffer): Buffer {
  let result = bytes;
  for (let count = 1 + die.below(4); count > 0; count -= 1) {
    const at = die.below(result.length + 1);
    switch (die.below(4)) {
      case 0:
        result = Buffer.concat([result.subarray(0, at), Buffer.from([die.below(256)]), result.subarray(at + 1)]);
        break;
      case 1:
        result = Buffer.concat([result.subarray(0, at), Buffer.from([die.below(256)]), result.subarray(at)]);
        break;
      case 2:
        result = Buffer.concat([result.subarray(0, at), result.subarray(at + 1 + die.below(10))]);
        break;
      default:
        result = result.subarray(0, at);
    }
  }
  return result;
}
