// Hands descriptors over as a container does to its pv-fd-log (sendmsg(2) with SCM_RIGHTS), which Node cannot.
import { closeSync } from 'node:fs';
import koffi from 'koffi';
import { kernelError, socket } from '../../shared/kernel/libc.ts';

const libc = koffi.load(null);
koffi.struct('test_iovec', { base: 'void *', length: 'size_t' });
koffi.struct('test_msghdr', {
  name: 'void *',
  nameLength: 'uint32_t',
  vector: 'test_iovec *',
  vectorLength: 'size_t',
  control: 'void *',
  controlLength: 'size_t',
  flags: 'int',
});
const cConnect: (fd: number, address: Uint8Array, length: number) => number = libc.func(
  'int connect(int fd, const void *address, uint32_t length)',
);
const cSendmsg: (fd: number, message: object, flags: number) => number = libc.func(
  'long sendmsg(int fd, test_msghdr *message, int flags)',
);
const [AF_UNIX, SOCK_STREAM, SOCK_CLOEXEC, SOL_SOCKET, SCM_RIGHTS] = [1, 1, 0o2000000, 1, 1];

export interface Said {
  readonly src: string;
  readonly level?: number;
  readonly action?: number;
}

/** The 108 bytes. */
export function handoverBytes({ src, level = 4, action = 1 }: Said): Buffer {
  const bytes = Buffer.alloc(108);
  bytes.write('a lie', 0);
  bytes.write(src, 50, 50);
  bytes.writeInt32LE(level, 100);
  bytes.writeInt32LE(action, 104);
  return bytes;
}

/** A connection's descriptor, the caller's; `type` is SOCK_STREAM unless told. */
export function connectUnix(path: string, type = SOCK_STREAM): number {
  const fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
  const address = Buffer.concat([Buffer.from(Uint16Array.of(AF_UNIX).buffer), Buffer.from(`${path}\0`)]);
  if (cConnect(fd, address, address.length) < 0) throw kernelError(koffi.errno(), 'connect', path);
  return fd;
}

/** `descriptors` stay the caller's. */
export function handOver(path: string, bytes: Buffer, descriptors: readonly number[]): void {
  const fd = connectUnix(path);
  try {
    sendWithDescriptors(fd, bytes, descriptors);
  } finally {
    closeSync(fd);
  }
}

/** Through a socket that is connected. `descriptors` stay the caller's. */
export function sendWithDescriptors(fd: number, bytes: Buffer, descriptors: readonly number[]): void {
  const control = Buffer.alloc(16 + 4 * descriptors.length + (descriptors.length % 2) * 4);
  control.writeBigUInt64LE(BigInt(16 + 4 * descriptors.length), 0);
  control.writeInt32LE(SOL_SOCKET, 8);
  control.writeInt32LE(SCM_RIGHTS, 12);
  for (const [index, descriptor] of descriptors.entries()) control.writeInt32LE(descriptor, 16 + 4 * index);
  const message = {
    name: null,
    nameLength: 0,
    vector: [{ base: bytes, length: bytes.length }],
    vectorLength: 1,
    flags: 0,
    ...(descriptors.length === 0 ? { control: null, controlLength: 0 } : { control, controlLength: control.length }),
  };
  if (cSendmsg(fd, message, 0) < 0) throw kernelError(koffi.errno(), 'sendmsg');
}
