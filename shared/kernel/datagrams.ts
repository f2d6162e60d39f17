// Looks at the next datagram of a socket, which stays in its queue.
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

/** The whole length of the next datagram, which may be more than fits into `into`; undefined when there is none. Throws KernelError. */
export function peekDatagram(fd: number, into: Uint8Array): number | undefined {
  const length = cRecv(fd, into, into.length, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
  if (length >= 0) return length;
  const errno = koffi.errno();
  if (errno === EAGAIN) return undefined;
  throw kernelError(errno, 'recv', `descriptor ${fd}`);
}
