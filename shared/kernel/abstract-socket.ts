// Connects to a UNIX socket of the abstract namespace by its exact name: Node 20 pads such names with zeros (unix(7)).
import { closeSync } from 'node:fs';
import koffi from 'koffi';
import { kernelError, socket } from './libc.ts';

const cConnect: (fd: number, address: Uint8Array, length: number) => number = koffi
  .load(null)
  .func('int connect(int fd, const void *address, uint32_t length)');

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
/** sizeof(sun_path) */
const MAX_NAME_BYTES = 108;

/** A connected stream socket's descriptor, the caller's. `name` without its leading NUL, at most 107 bytes. Throws KernelError (ECONNREFUSED: nobody listens). */
export function connectAbstract(name: string): number {
  const path = Buffer.from(`\0${name}`);
  if (path.length > MAX_NAME_BYTES)
    throw new Error(`the socket name ${name} is longer than ${MAX_NAME_BYTES - 1} bytes`);
  const family = Buffer.from(Uint16Array.of(AF_UNIX).buffer);
  const address = Buffer.concat([family, path]);
  const fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (cConnect(fd, address, address.length) === 0) return fd;
  const error = kernelError(koffi.errno(), 'connect', `@${name}`);
  closeSync(fd);
  throw error;
}
