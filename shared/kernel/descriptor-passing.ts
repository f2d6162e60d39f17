// Descriptors that somebody hands over through a Unix socket (SCM_RIGHTS, unix(7)), and reading from one without ever waiting for it.
import { Buffer } from 'node:buffer';
import koffi from 'koffi';
import { kernelError } from './libc.ts';

const libc = koffi.load(null);
koffi.struct('berth_iovec', { base: 'void *', length: 'size_t' });
koffi.struct('berth_msghdr', {
  name: 'void *',
  nameLength: 'uint32_t',
  vector: 'berth_iovec *',
  vectorLength: 'size_t',
  control: 'void *',
  controlLength: 'size_t',
  flags: 'int',
});
interface MessageHeader {
  name: null;
  nameLength: number;
  vector: readonly { readonly base: Uint8Array; readonly length: number }[];
  vectorLength: number;
  control: Uint8Array;
  controlLength: number;
  flags: number;
}
const cRecvmsg: (fd: number, message: MessageHeader, flags: number) => number = libc.func(
  'long recvmsg(int fd, _Inout_ berth_msghdr *message, int flags)',
);
const cAccept4: (fd: number, address: null, length: null, flags: number) => number = libc.func(
  'int accept4(int fd, void *address, void *length, int flags)',
);
const cRecv: (fd: number, bytes: Uint8Array, length: number, flags: number) => number = libc.func(
  'long recv(int fd, void *bytes, size_t length, int flags)',
);
const cSplice: (from: number, a: null, to: number, b: null, length: number, flags: number) => number = libc.func(
  'long splice(int from, void *a, int to, void *b, size_t length, unsigned int flags)',
);

const cFcntl: (fd: number, command: number) => number = libc.func('int fcntl(int fd, int command)');
const cGetsockopt: (fd: number, level: number, name: number, value: Uint8Array, length: Uint32Array) => number =
  libc.func('int getsockopt(int fd, int level, int name, void *value, void *length)');

/** linux/socket.h, asm-generic/socket.h, linux/fcntl.h, linux/splice.h */
const SOL_SOCKET = 1;
const SO_TYPE = 3;
const F_GETPIPE_SZ = 1032;
const SCM_RIGHTS = 1;
const MSG_DONTWAIT = 0x40;
const MSG_CMSG_CLOEXEC = 0x40000000;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const SPLICE_F_NONBLOCK = 2;
/** asm-generic/errno-base.h, asm-generic/errno.h */
const EAGAIN = 11;
const ECONNABORTED = 103;
/** struct cmsghdr: a size_t and two ints, then the descriptors. */
const WORD_BYTES = koffi.sizeof('size_t');
const CONTROL_HEADER_BYTES = WORD_BYTES + 8;

/** Undefined: nothing was there, after all. */
function orNothing(result: number, call: string, nothing: readonly number[]): number | undefined {
  if (result >= 0) return result;
  const errno = koffi.errno();
  if (nothing.includes(errno)) return undefined;
  throw kernelError(errno, call);
}

/** A connection's descriptor, the caller's, which does not block; undefined when nobody waits. Throws KernelError (EMFILE). */
export function acceptConnection(listeningFd: number): number | undefined {
  const result = cAccept4(listeningFd, null, null, SOCK_NONBLOCK | SOCK_CLOEXEC);
  return orNothing(result, 'accept4', [EAGAIN, ECONNABORTED]);
}

export interface HandedOver {
  /** Bytes in `into`; 0 at the end of the connection. */
  readonly length: number;
  /** The caller's from now on. Of several the first; the kernel closes the others. */
  readonly descriptor: number | undefined;
}

/** Undefined when there is nothing yet. */
export function receiveDescriptor(fd: number, into: Uint8Array): HandedOver | undefined {
  // Room for one and not a byte more: what fits is installed in this process, asked for or not.
  const control = Buffer.alloc(CONTROL_HEADER_BYTES + 4);
  const message: MessageHeader = {
    name: null,
    nameLength: 0,
    vector: [{ base: into, length: into.length }],
    vectorLength: 1,
    control,
    controlLength: control.length,
    flags: 0,
  };
  const length = orNothing(cRecvmsg(fd, message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC), 'recvmsg', [EAGAIN]);
  if (length === undefined) return undefined;
  const isOurs =
    message.controlLength >= control.length &&
    control.readInt32LE(WORD_BYTES) === SOL_SOCKET &&
    control.readInt32LE(WORD_BYTES + 4) === SCM_RIGHTS;
  return { length, descriptor: isOurs ? control.readInt32LE(CONTROL_HEADER_BYTES) : undefined };
}

/** Told without asking the file system that it may belong to, which may be somebody's who never answers. */
export function kindOfDescriptor(fd: number): 'pipe' | 'socket' | 'other' {
  if (cFcntl(fd, F_GETPIPE_SZ) > 0) return 'pipe';
  const type = Buffer.alloc(4);
  return cGetsockopt(fd, SOL_SOCKET, SO_TYPE, type, Uint32Array.of(type.length)) === 0 ? 'socket' : 'other';
}

/**
 * From a pipe into another one, which must be empty: 0 at its end, undefined when there is nothing yet. O_NONBLOCK will not do: it belongs
 * to the open file, which whoever handed it over still has and can change at any time.
 */
export function spliceWaiting(fromPipe: number, toPipe: number, maxBytes: number): number | undefined {
  return orNothing(cSplice(fromPipe, null, toPipe, null, maxBytes, SPLICE_F_NONBLOCK), 'splice', [EAGAIN]);
}

/** From a socket: 0 at its end, undefined when there is nothing yet. */
export function receiveWaiting(fd: number, into: Uint8Array): number | undefined {
  return orNothing(cRecv(fd, into, into.length, MSG_DONTWAIT), 'recv', [EAGAIN]);
}
