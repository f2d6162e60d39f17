// mknod(2) for devices, and their numbers.
import { constants } from 'node:fs';
import koffi from 'koffi';
import { kernelError } from './libc.ts';

export type DeviceKind = 'char' | 'block';

export interface DeviceNumber {
  readonly kind: DeviceKind;
  readonly major: number;
  readonly minor: number;
}

/** makedev(3): dev_t of glibc and musl. */
function deviceNumber({ major, minor }: DeviceNumber): bigint {
  const [high, low] = [BigInt(major), BigInt(minor)];
  return ((high & 0xfffff000n) << 32n) | ((high & 0xfffn) << 8n) | ((low & 0xffffff00n) << 12n) | (low & 0xffn);
}

/** Bound when it is first called: few services make any, and older C libraries have it by another name. */
let cMknod: ((path: string, mode: number, device: bigint) => number) | undefined;

/** Root's alone. Throws KernelError, EEXIST where anything is, also a link that leads nowhere. */
export function makeDeviceNode(path: string, device: DeviceNumber): void {
  cMknod ??= koffi.load(null).func('int mknod(const char *path, uint32_t mode, uint64_t device)');
  const type = device.kind === 'block' ? constants.S_IFBLK : constants.S_IFCHR;
  if (cMknod(path, type | 0o600, deviceNumber(device)) < 0) throw kernelError(koffi.errno(), `mknod ${path}`);
}

/** `mode` and `rdev` of stat(2). */
export function isDevice(found: { readonly mode: number; readonly rdev: number }, device: DeviceNumber): boolean {
  const type = device.kind === 'block' ? constants.S_IFBLK : constants.S_IFCHR;
  return (found.mode & constants.S_IFMT) === type && BigInt(found.rdev) === deviceNumber(device);
}
