// Pipes and Unix sockets, listening ones and those for datagrams, as bare file descriptors, to be handed on to other processes.
import { chmodSync, closeSync, rmSync } from 'node:fs';
import { bind, KernelError, listen, pipe2, setsockopt, socket, socketpair } from './libc.ts';

// linux/un.h, linux/socket.h, asm-generic/fcntl.h: the same numbers on x86, arm and riscv.
const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const NONBLOCK = 0o4000;
const CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_PASSRIGHTS = 83;
/** struct sockaddr_un is a u16 family and 108 bytes of path with its NUL. */
const MAX_PATH_BYTES = 107;

/** Both ends close on exec and do not block; the caller closes them. */
export function pipe2NonBlocking(): { readFd: number; writeFd: number } {
  return pipe2(CLOEXEC | NONBLOCK);
}

/** Two stream sockets, connected with each other. Both close on exec and do not block; the caller closes them. */
export function unixSocketPair(): readonly [number, number] {
  return socketpair(AF_UNIX, SOCK_STREAM | NONBLOCK | CLOEXEC, 0);
}

/** A stream socket that closes on exec and does not block; the caller closes it. */
export function unboundUnixSocket(): number {
  return socket(AF_UNIX, SOCK_STREAM | NONBLOCK | CLOEXEC, 0);
}

/** For datagrams; closes on exec and does not block; the caller closes it. */
export function unboundDatagramSocket(): number {
  return socket(AF_UNIX, SOCK_DGRAM | NONBLOCK | CLOEXEC, 0);
}

/**
 * Whoever sends descriptors to it, or to a connection that it accepts, gets EPERM. Linux can do that from 6.16 on; where it cannot, they come:
 * who reads without asking for them, as Node does, closes them by that, which can take as long as their sender likes.
 */
export function refuseDescriptors(fd: number): void {
  try {
    setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, Buffer.from(Int32Array.of(0).buffer));
  } catch (error) {
    if (!(error instanceof KernelError && error.errno === 'ENOPROTOOPT')) throw error;
  }
}

export interface ListenOptions {
  /** Permission bits of the socket's file: writing is connecting (unix(7)). In force before anybody can connect. */
  readonly mode: number;
  /** Connections that may wait to be accepted. */
  readonly backlog: number;
}

/** Binds to `path`, replacing what a predecessor left there, and listens. Throws KernelError; the descriptor stays the caller's. */
export function bindAndListen(fd: number, path: string, { mode, backlog }: ListenOptions): void {
  bindPath(fd, path);
  chmodSync(path, mode);
  listen(fd, backlog);
}

/** Binds a datagram socket to `path`, replacing what a predecessor left there; `mode` as of a listening one. Throws KernelError. */
export function bindDatagram(fd: number, path: string, mode: number): void {
  bindPath(fd, path);
  chmodSync(path, mode);
}

function bindPath(fd: number, path: string): void {
  const bytes = Buffer.from(path);
  if (bytes.length > MAX_PATH_BYTES || bytes.includes(0)) {
    throw new KernelError(
      'ENAMETOOLONG',
      'bind',
      `${path} does not fit into the ${MAX_PATH_BYTES} bytes of a socket’s address: choose a folder with a shorter path`,
    );
  }
  const address = Buffer.alloc(2 + bytes.length + 1);
  address.writeUInt16LE(AF_UNIX, 0);
  address.set(bytes, 2);
  try {
    bind(fd, address, `bind ${path}`);
  } catch (error) {
    // Most of the time nothing is there, and a look first costs more than the call itself.
    if (!(error instanceof KernelError && error.errno === 'EADDRINUSE')) throw error;
    rmSync(path, { force: true });
    bind(fd, address, `bind ${path}`);
  }
}

/** A new socket that listens at `path`; nothing is left open when that fails. */
export function listenUnix(path: string, options: ListenOptions): number {
  const fd = unboundUnixSocket();
  try {
    bindAndListen(fd, path, options);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return fd;
}
