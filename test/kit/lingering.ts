// A TCP connection whose last close(2) takes as long as its owner said (SO_LINGER, socket(7)): what was sent through it is never read.
import { closeSync, readlinkSync } from 'node:fs';
import koffi from 'koffi';
import { bind, KernelError, kernelError, listen, sendNow, setsockopt, socket } from '../../shared/kernel/libc.ts';

const libc = koffi.load(null);
const cConnect: (fd: number, address: Uint8Array, length: number) => number = libc.func(
  'int connect(int fd, const void *address, uint32_t length)',
);
const cGetsockname: (fd: number, address: Uint8Array, length: Uint32Array) => number = libc.func(
  'int getsockname(int fd, void *address, void *length)',
);
const [AF_INET, SOCK_STREAM, SOCK_CLOEXEC, SOL_SOCKET, SO_LINGER] = [2, 1, 0o2000000, 1, 13];

export interface Lingering {
  /** The caller's. */
  readonly fd: number;
  /** What its descriptors are called in /proc/<pid>/fd. */
  readonly link: string;
  /** Ends the connection, and with it whatever waits for its end. */
  release(): void;
}

export function openLingering(seconds: number): Lingering {
  const [listening, fd] = [0, 1].map(() => socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (listening === undefined || fd === undefined) throw new Error('two sockets');
  // 127.0.0.1, whichever port is free.
  const address = Buffer.alloc(16);
  address.writeUInt16LE(AF_INET, 0);
  address.writeUInt32BE(0x7f000001, 4);
  bind(listening, address);
  listen(listening, 1);
  if (cGetsockname(listening, address, Uint32Array.of(address.length)) < 0)
    throw kernelError(koffi.errno(), 'getsockname');
  if (cConnect(fd, address, address.length) < 0) throw kernelError(koffi.errno(), 'connect');
  setsockopt(fd, SOL_SOCKET, SO_LINGER, Buffer.from(Int32Array.of(1, seconds).buffer));
  try {
    for (;;) sendNow(fd, Buffer.alloc(64 * 1024));
  } catch (error) {
    if (!(error instanceof KernelError && error.errno === 'EAGAIN')) throw error;
  }
  return { fd, link: readlinkSync(`/proc/self/fd/${fd}`), release: () => closeSync(listening) };
}
