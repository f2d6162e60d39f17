// Looks at what a connection sends first, and takes a header out of it that Node's parser refuses and Pantavisor's client sends.
import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';

const HEAD_END = '\r\n\r\n';
/** The client tells curl `-H 'Transfer-Encoding: identity'` so that it does not send in chunks; it sends Content-Length beside it. */
const IDENTITY = /\r\nTransfer-Encoding:[ \t]*identity[ \t]*(?=\r\n)/i;
const CONTENT_LENGTH = /\r\nContent-Length:[ \t]*\d+[ \t]*(?=\r\n)/i;

/**
 * `identity` says that there is no transfer coding at all (RFC 2616, 3.6; gone since RFC 7230), so a head with a length means the same
 * without it. Only a whole first head is looked at: each request of that client is a connection of its own, sent at once.
 */
export function withoutIdentity(first: Buffer): Buffer {
  const end = first.indexOf(HEAD_END);
  if (end === -1) return first;
  const head = first.toString('latin1', 0, end + 2);
  if (!IDENTITY.test(head) || !CONTENT_LENGTH.test(head)) return first;
  const shorter = head.replace(IDENTITY, '');
  return Buffer.concat([Buffer.from(shorter, 'latin1'), first.subarray(end + 2)]);
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
    onFirst(withoutIdentity(first));
  };
  const onEnd = (): void => {
    leave();
    socket.end();
  };
  const ignore = (): void => undefined;
  socket.on('readable', onReadable).on('end', onEnd).on('close', leave).on('error', ignore);
}
