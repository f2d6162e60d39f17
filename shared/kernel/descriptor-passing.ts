// Descriptors that somebody sends through a Unix socket (SCM_RIGHTS, unix(7)), and reading from them without ever waiting.
import { Buffer } from 'node:buffer';
import koffi from 'koffi';
import { kernelError } from './libc.ts';

const libc = koffi.load(null);
const vector = koffi.struct('berth_iovec', { base: 'void *', length: 'size_t' });
const header = koffi.struct('berth_msghdr', {
  name: 'void *',
  nameLength: 'uint32_t',
  vector: 'void *',
  vectorLength: 'size_t',
  control: 'void *',
  controlLength: 'size_t',
  flags: 'int',
});
const cRecvmsg: (fd: number, message: unknown, flags: number) => number = libc.func(
  'long recvmsg(int fd, void *message, int flags)',
);
const cAccept4: (fd: number, address: null, length: null, flags: number) => number = libc.func(
  'int accept4(int fd, void *address, void *length, int flags)',
);
const cSplice: (from: number, a: null, to: number, b: null, length: number, flags: number) => number = libc.func(
  'long splice(int from, void *a, int to, void *b, size_t length, unsigned int flags)',
);

const cFcntl: (fd: number, command: number) => number = libc.func('int fcntl(int fd, int command)');
const cGetsockopt: (fd: number, level: number, name: number, value: Uint8Array, length: Uint32Array) => number =
  libc.func('int getsockopt(int fd, int level, int name, void *value, void *length)');

/** linux/socket.h, asm-generic/socket.h, linux/fcntl.h, linux/splice.h */
const AF_UNIX = 1;
const SOL_SOCKET = 1;
const SO_DOMAIN = 39;
const F_GETPIPE_SZ = 1032;
const SCM_RIGHTS = 1;
const SCM_PIDFD = 4;
const MSG_DONTWAIT = 0x40;
const MSG_CMSG_CLOEXEC = 0x40000000;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const SPLICE_F_NONBLOCK = 2;
/** asm-generic/errno-base.h, asm-generic/errno.h */
const EAGAIN = 11;
const ECONNABORTED = 103;
/** struct cmsghdr: a size_t and two ints, then what it carries; the next one begins at a whole size_t. */
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

/** The most of one call. */
const MAX_RECEIVED_BYTES = 64 * 1024;
/**
 * 253 descriptors (SCM_MAX_FD, net/scm.h), and what a socket's other owner may have it add: credentials, a pidfd, a time, a security
 * context of a page at most. The kernel itself closes what there is no room for, on this thread.
 */
const CONTROL_BYTES = 8 * 1024;

const received = koffi.alloc('char', MAX_RECEIVED_BYTES);
const control = koffi.alloc('char', CONTROL_BYTES);
const oneVector = koffi.alloc(vector, 1);
const message = koffi.alloc(header, 1);
koffi.encode(oneVector, vector, { base: received, length: MAX_RECEIVED_BYTES });
koffi.encode(message, header, {
  name: null,
  nameLength: 0,
  vector: oneVector,
  vectorLength: 1,
  control,
  controlLength: CONTROL_BYTES,
  flags: 0,
});
// Written and read as bytes: to translate the structure at each call takes twice as long as the call.
const receivedBytes = Buffer.from(koffi.view(received, MAX_RECEIVED_BYTES));
const controlBytes = Buffer.from(koffi.view(control, CONTROL_BYTES));
const vectorBytes = Buffer.from(koffi.view(oneVector, koffi.sizeof(vector)));
const messageBytes = Buffer.from(koffi.view(message, koffi.sizeof(header)));
const LENGTH_OFFSET = koffi.offsetof(vector, 'length');
const CONTROL_LENGTH_OFFSET = koffi.offsetof(header, 'controlLength');

export interface Received {
  /** Until the next call; none at the end of a connection. What of a datagram is more than was asked for is gone. */
  readonly bytes: Buffer;
  /** The caller's from now on, whether it wants them or not. */
  readonly descriptors: readonly number[];
}

/**
 * Takes what is next from a Unix socket, undefined when there is nothing yet. Every socket brings descriptors when its other end sends
 * some. Whoever takes the message without them (read(2), recv(2)) closes them by that, and to close one can mean to wait for as long as
 * its sender likes (SO_LINGER, socket(7)).
 */
export function receiveWithDescriptors(fd: number, maxBytes: number): Received | undefined {
  vectorBytes.writeUInt32LE(Math.min(maxBytes, MAX_RECEIVED_BYTES), LENGTH_OFFSET);
  messageBytes.writeUInt32LE(CONTROL_BYTES, CONTROL_LENGTH_OFFSET);
  const length = orNothing(cRecvmsg(fd, message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC), 'recvmsg', [EAGAIN]);
  if (length === undefined) return undefined;
  const controlLength = messageBytes.readUInt32LE(CONTROL_LENGTH_OFFSET);
  return { bytes: receivedBytes.subarray(0, length), descriptors: controlLength === 0 ? [] : sent(controlLength) };
}

function sent(controlLength: number): number[] {
  const descriptors: number[] = [];
  for (let at = 0; at + CONTROL_HEADER_BYTES <= controlLength; ) {
    const length = controlBytes.readUInt32LE(at);
    const type = controlBytes.readInt32LE(at + WORD_BYTES + 4);
    const isOfSocket = controlBytes.readInt32LE(at + WORD_BYTES) === SOL_SOCKET;
    if (isOfSocket && (type === SCM_RIGHTS || type === SCM_PIDFD)) {
      for (let place = CONTROL_HEADER_BYTES; place + 4 <= length; place += 4)
        descriptors.push(controlBytes.readInt32LE(at + place));
    }
    at += Math.ceil(Math.max(length, CONTROL_HEADER_BYTES) / WORD_BYTES) * WORD_BYTES;
  }
  // Instead of a pidfd there can be the number of an error.
  return descriptors.filter((descriptor) => descriptor >= 0);
}

/** Told without asking the file system that it may belong to, which may be somebody's who never answers. */
export function kindOfDescriptor(fd: number): 'pipe' | 'unix-socket' | 'other' {
  if (cFcntl(fd, F_GETPIPE_SZ) > 0) return 'pipe';
  const domain = Buffer.alloc(4);
  const isSocket = cGetsockopt(fd, SOL_SOCKET, SO_DOMAIN, domain, Uint32Array.of(domain.length)) === 0;
  return isSocket && domain.readInt32LE() === AF_UNIX ? 'unix-socket' : 'other';
}

/**
 * From a pipe into another one, which must be empty: 0 at its end, undefined when there is nothing yet. O_NONBLOCK will not do: it belongs
 * to the open file, which whoever handed it over still has and can change at any time.
 */
export function spliceWaiting(fromPipe: number, toPipe: number, maxBytes: number): number | undefined {
  return orNothing(cSplice(fromPipe, null, toPipe, null, maxBytes, SPLICE_F_NONBLOCK), 'splice', [EAGAIN]);
}
