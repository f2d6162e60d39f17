// Sends datagrams, which Node cannot: to a Unix socket by its path, or by its name in the abstract namespace (unix(7)).
import { closeSync } from 'node:fs';
import koffi from 'koffi';
import { kernelError } from './libc.ts';
import { unboundDatagramSocket } from './unix-sockets.ts';

const cSendto: (
  fd: number,
  bytes: Uint8Array,
  length: number,
  flags: number,
  address: Uint8Array,
  size: number,
) => number = koffi
  .load(null)
  // koffi does not know ssize_t; `long` has its size on every Linux architecture.
  .func('long sendto(int fd, const void *bytes, size_t length, int flags, const void *address, uint32_t size)');

const AF_UNIX = 1;

/** `path` that begins with `@` is abstract. Throws KernelError (EAGAIN: its queue is full). */
export function sendDatagram(path: string, datagram: string | Buffer): void {
  const bytes = Buffer.from(datagram);
  const name = path.startsWith('@') ? `\0${path.slice(1)}` : `${path}\0`;
  const address = Buffer.concat([Buffer.from(Uint16Array.of(AF_UNIX).buffer), Buffer.from(name)]);
  const fd = unboundDatagramSocket();
  try {
    if (cSendto(fd, bytes, bytes.length, 0, address, address.length) < 0)
      throw kernelError(koffi.errno(), 'sendto', path);
  } finally {
    closeSync(fd);
  }
}
