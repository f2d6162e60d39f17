// Looks at what a connection sends first, and makes of what Pantavisor's clients send and Node's parser refuses what it takes.
import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';

const HEAD_END = '\r\n\r\n';
/** The client tells curl `-H 'Transfer-Encoding: identity'` so that it does not send in chunks; it sends Content-Length beside it. */
const IDENTITY = /\r\nTransfer-Encoding:[ \t]*identity[ \t]*(?=\r\n)/i;
const CONTENT_LENGTH = /\r\nContent-Length:[ \t]*\d+[ \t]*(?=\r\n)/i;

/** All of one first head, or nothing: each request of that client is a connection of its own, sent at once. */
export function asNodeReadsIt(first: Buffer): Buffer {
  const end = first.indexOf(HEAD_END);
  if (end === -1) return first;
  const head = first.toString('latin1', 0, end + 2);
  const readable = withAsciiPath(withOneLength(withoutIdentity(head)));
  return readable === head ? first : Buffer.concat([Buffer.from(readable, 'latin1'), first.subarray(end + 2)]);
}

/** `identity` says that there is no transfer coding at all (RFC 2616, 3.6; gone since RFC 7230): a head with a length means the same without it. */
function withoutIdentity(head: string): string {
  return CONTENT_LENGTH.test(head) ? head.replace(IDENTITY, '') : head;
}

const FIRST_LINE_OF_1_0 = /^[A-Z]+ [^ \r\n]+ HTTP\/1\.0\r\n/;
const OTHER_FRAMING = /\r\n(?:Transfer-Encoding|Connection)[ \t]*:/i;
/** Blanks match in one way only: there may be 64 KiB of them. */
const LENGTH_LINES = /\r\nContent-Length:[ \t]*(?:\d+[ \t]*)?(?=\r\n(?![ \t]))/gi;

/**
 * pvcurl, which stands in for curl, adds the size of standard input to the length that it was told: nothing, 0 or the same again. The first one holds,
 * as for Pantavisor. Of HTTP/1.0 alone, where the connection ends with the request: whatever another reader takes for its length, no byte
 * behind it becomes a request.
 */
function withOneLength(head: string): string {
  if (!FIRST_LINE_OF_1_0.test(head) || OTHER_FRAMING.test(head)) return head;
  let lengths = 0;
  const rest = head.replace(LENGTH_LINES, (line) => {
    lengths += 1;
    return lengths > 1 ? '' : line;
  });
  // Where the first one says nothing, the head stays as wrong as it is.
  return CONTENT_LENGTH.test(rest) ? rest : head;
}

const REQUEST_LINE = /^[A-Z]+ [^ \r\n]+ HTTP\/1\.[01]\r\n/;
const OTHER_LETTER = /[\x80-\xff]/g;

/** A key of metadata may have any letters. Not every curl encodes them, nor does busybox. */
function withAsciiPath(head: string): string {
  return head.replace(REQUEST_LINE, (line) =>
    line.replaceAll(OTHER_LETTER, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase()}`),
  );
}

/** `onFirst` is called once, with what the connection sends first; `onSilent` instead when that is nothing in `silentMs`. */
export function readFirstBytes(
  socket: Socket,
  silentMs: number,
  onFirst: (first: Buffer) => void,
  onSilent: () => void,
): void {
  const patience = setTimeout(() => {
    leave();
    onSilent();
  }, silentMs);
  const leave = (): void => {
    clearTimeout(patience);
    socket.off('readable', onReadable).off('end', onEnd).off('close', leave).off('error', ignore);
  };
  const onReadable = (): void => {
    const first: Buffer | null = socket.read();
    if (first === null) return;
    leave();
    onFirst(asNodeReadsIt(first));
  };
  const onEnd = (): void => {
    leave();
    socket.end();
  };
  const ignore = (): void => undefined;
  socket.on('readable', onReadable).on('end', onEnd).on('close', leave).on('error', ignore);
}
