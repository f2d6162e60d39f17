// Receives datagrams from a socket that does not block, one by one, with or without taking them out of its queue.
import koffi from 'koffi';
import { kernelError } from './libc.ts';

const cRecv: (fd: number, bytes: Uint8Array, length: number, flags: number) => number = koffi
  .load(null)
  // koffi does not know ssize_t; `long` has its size on every Linux architecture.
  .func('long recv(int fd, void *bytes, size_t length, int flags)');

/** linux/socket.h */
const MSG_PEEK = 0x2;
const MSG_TRUNC = 0x20;
const MSG_DONTWAIT = 0x40;
/** asm-generic/errno-base.h */
const EAGAIN = 11;

function receive(fd: number, into: Uint8Array, flags: number): number | undefined {
  const length = cRecv(fd, into, into.length, flags | MSG_TRUNC | MSG_DONTWAIT);
  if (length >= 0) return length;
  const errno = koffi.errno();
  if (errno === EAGAIN) return undefined;
  throw kernelError(errno, 'recv', `descriptor ${fd}`);
}

/** The whole length of the next datagram, which may be more than fits into `into`; undefined when there is none. It stays in the queue. */
export function peekDatagram(fd: number, into: Uint8Array): number | undefined {
  return receive(fd, into, MSG_PEEK);
}

const nowhere = new Uint8Array(1);

/** False when there is none. */
export function dropDatagram(fd: number): boolean {
  return receive(fd, nowhere, 0) !== undefined;
}
