// The C library's functions that Node lacks, bound once, each throwing a KernelError that names the call and the errno.
import { getSystemErrorMap } from 'node:util';
import koffi from 'koffi';

/** A system call that failed. `errno` is its name (`EPERM`), `call` what was tried. */
export class KernelError extends Error {
  readonly errno: string;
  readonly call: string;

  constructor(errno: string, call: string, detail: string) {
    super(`${call}: ${errno}, ${detail}`);
    this.name = 'KernelError';
    this.errno = errno;
    this.call = call;
  }
}

/** `number` as in errno(3), positive. */
export function kernelError(number: number, call: string, detail = ''): KernelError {
  const [name, text] = getSystemErrorMap().get(-number) ?? [`errno ${number}`, 'unknown error'];
  return new KernelError(name, call, detail === '' ? text : `${text} (${detail})`);
}

// null: what the program itself is linked with, whichever C library that is.
const libc = koffi.load(null);

// koffi does not know ssize_t; `long` has its size on every Linux architecture.
const cPipe2: (fds: Int32Array, flags: number) => number = libc.func('int pipe2(int *fds, int flags)');
const cSocket: (domain: number, type: number, protocol: number) => number = libc.func(
  'int socket(int domain, int type, int protocol)',
);
const cSocketpair: (domain: number, type: number, protocol: number, fds: Int32Array) => number = libc.func(
  'int socketpair(int domain, int type, int protocol, int *fds)',
);
const cBind: (fd: number, address: Uint8Array, length: number) => number = libc.func(
  'int bind(int fd, const void *address, uint32_t length)',
);
const cListen: (fd: number, backlog: number) => number = libc.func('int listen(int fd, int backlog)');
const cSetsockopt: (fd: number, level: number, name: number, value: Uint8Array, length: number) => number = libc.func(
  'int setsockopt(int fd, int level, int name, const void *value, uint32_t length)',
);
const cGetsockopt: (fd: number, level: number, name: number, value: Uint8Array, length: Uint32Array) => number =
  libc.func('int getsockopt(int fd, int level, int name, _Inout_ void *value, _Inout_ uint32_t *length)');
const cSend: (fd: number, bytes: Uint8Array, length: number, flags: number) => number = libc.func(
  'long send(int fd, const void *bytes, size_t length, int flags)',
);
const cRecv: (fd: number, bytes: Uint8Array, length: number, flags: number) => number = libc.func(
  'long recv(int fd, void *bytes, size_t length, int flags)',
);
const cUnshare: (flags: number) => number = libc.func('int unshare(int flags)');
const cSetns: (fd: number, type: number) => number = libc.func('int setns(int fd, int type)');
const cExit: (code: number) => void = libc.func('void _exit(int code)');

/** Of glibc alone: others have no such heap. */
const cMallocTrim = optional(() => libc.func('int malloc_trim(size_t pad)'));

function optional<T>(bind: () => T): T | undefined {
  try {
    return bind();
  } catch {
    return undefined;
  }
}

/** The result of a call that has just been made; below 0: throws what errno says. */
export function checked(result: number, call: string): number {
  if (result < 0) throw kernelError(koffi.errno(), call);
  return result;
}

/** pipe(2). */
export function pipe2(flags: number): { readFd: number; writeFd: number } {
  const fds = new Int32Array(2);
  checked(cPipe2(fds, flags), 'pipe2');
  const [readFd = -1, writeFd = -1] = fds;
  return { readFd, writeFd };
}

export function socket(domain: number, type: number, protocol: number): number {
  return checked(cSocket(domain, type, protocol), 'socket');
}

/** socketpair(2). */
export function socketpair(domain: number, type: number, protocol: number): readonly [number, number] {
  const fds = new Int32Array(2);
  checked(cSocketpair(domain, type, protocol, fds), 'socketpair');
  const [one = -1, other = -1] = fds;
  return [one, other];
}

/** `address` is the struct sockaddr of the family, whole. */
export function bind(fd: number, address: Uint8Array, what = 'bind'): void {
  checked(cBind(fd, address, address.length), what);
}

export function listen(fd: number, backlog: number): void {
  checked(cListen(fd, backlog), 'listen');
}

export function setsockopt(fd: number, level: number, name: number, value: Uint8Array): void {
  checked(cSetsockopt(fd, level, name, value, value.length), 'setsockopt');
}

/** Fills `value`, whose content the option may read first. */
export function getsockopt(fd: number, level: number, name: number, value: Uint8Array): void {
  checked(cGetsockopt(fd, level, name, value, Uint32Array.of(value.length)), 'getsockopt');
}

export function send(fd: number, bytes: Uint8Array): number {
  return checked(cSend(fd, bytes, bytes.length, 0), 'send');
}

/** MSG_DONTWAIT and MSG_NOSIGNAL (linux/socket.h): for a socket whose flags are not ours to change. Throws EAGAIN where others would wait. */
export function sendNow(fd: number, bytes: Uint8Array): number {
  return checked(cSend(fd, bytes, bytes.length, 0x40 | 0x4000), 'send');
}

/** Bytes received into `into`; with MSG_TRUNC in `flags`, a datagram's whole length even where `into` is too small. */
export function recv(fd: number, into: Uint8Array, flags: number): number {
  return checked(cRecv(fd, into, into.length, flags), 'recv');
}

/** Of the calling thread only, as is setns. */
export function unshare(flags: number): void {
  checked(cUnshare(flags), 'unshare');
}

export function setns(fd: number, type: number): void {
  checked(cSetns(fd, type), 'setns');
}

/** Gives back what is free in the heap of malloc(3), also between what is not (malloc_trim(3)). */
export function trimHeap(): void {
  cMallocTrim?.(0);
}

/** _exit(2): does not wait for threads, whatever they wait for. */
export function exitNow(code: number): void {
  cExit(code);
}
