// Sockets to the kernel's own talkers (netlink(7)), which do not block.
import { closeSync } from 'node:fs';
import { bind, socket } from './libc.ts';

/** linux/socket.h, linux/net.h */
const AF_NETLINK = 16;
const SOCK_RAW_NONBLOCK_CLOEXEC = 3 | 0o4000 | 0o2000000;

/** The protocols, linux/netlink.h. */
export const NETLINK_ROUTE = 0;
export const NETLINK_NETFILTER = 12;
export const NETLINK_KOBJECT_UEVENT = 15;

/** Of the network namespace that the calling thread is in at this moment, for ever. `prepare` gets it first; when that throws, it is closed. Throws KernelError. */
export function openNetlink(protocol: number, prepare: (fd: number) => void): number {
  const fd = socket(AF_NETLINK, SOCK_RAW_NONBLOCK_CLOEXEC, protocol);
  try {
    prepare(fd);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** `port` 0: the kernel chooses one. `groups`: of the first 32, as bits. Throws KernelError. */
export function bindNetlink(
  fd: number,
  { port = 0, groups = 0 }: { readonly port?: number; readonly groups?: number },
): void {
  const address = Buffer.alloc(12);
  address.writeUInt16LE(AF_NETLINK, 0);
  address.writeUInt32LE(port, 4);
  address.writeUInt32LE(groups, 8);
  bind(fd, address);
}
