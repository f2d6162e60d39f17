// Loop devices (linux/loop.h): a file as a block device that detaches itself with its last user.
import { closeSync, openSync, readFileSync, statSync } from 'node:fs';
import koffi from 'koffi';
import { checked, KernelError } from './libc.ts';

const cIoctl: (fd: number, request: number, ...value: unknown[]) => number = koffi
  .load(null)
  .func('int ioctl(int fd, unsigned long request, ...)');

const LOOP_SET_FD = 0x4c00;
const LOOP_CLR_FD = 0x4c01;
const LOOP_SET_STATUS64 = 0x4c04;
const LOOP_GET_STATUS64 = 0x4c05;
const LOOP_CONFIGURE = 0x4c0a;
const LOOP_CTL_GET_FREE = 0x4c82;
const LO_FLAGS_READ_ONLY = 1;
const LO_FLAGS_AUTOCLEAR = 4;
/** struct loop_info64, and where its fields are. */
const INFO_BYTES = 232;
const DEVICE_OFFSET = 0;
const INODE_OFFSET = 8;
const START_OFFSET = 24;
const LIMIT_OFFSET = 32;
const FLAGS_OFFSET = 52;
const NAME_OFFSET = 56;
const NAME_BYTES = 63;
/** struct loop_config: descriptor, block size, info, 64 reserved bytes. */
const CONFIG_BYTES = 8 + INFO_BYTES + 64;
const LITTLE_ENDIAN = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;
/** Somebody else may take the free device first. */
const ATTEMPTS = 32;

export interface LoopDevice {
  readonly path: string;
  /** Lets go of our own descriptor; without a mount by then, the device is free again. */
  close(): void;
}

function writeU32(buffer: Buffer, value: number, offset: number): void {
  if (LITTLE_ENDIAN) buffer.writeUInt32LE(value, offset);
  else buffer.writeUInt32BE(value, offset);
}

export type LoopAccess = 'read' | 'write';

function infoOf(file: string, access: LoopAccess): Buffer {
  const info = Buffer.alloc(INFO_BYTES);
  writeU32(info, (access === 'read' ? LO_FLAGS_READ_ONLY : 0) | LO_FLAGS_AUTOCLEAR, FLAGS_OFFSET);
  // Only a label for losetup(8): cut where the kernel would cut it.
  info.set(Buffer.from(file).subarray(0, NAME_BYTES), NAME_OFFSET);
  return info;
}

/** Kernels before 5.8 have no LOOP_CONFIGURE and want two steps. */
function configureInSteps(device: number, backing: number, info: Buffer): void {
  checked(cIoctl(device, LOOP_SET_FD, 'int', backing), 'LOOP_SET_FD');
  try {
    checked(cIoctl(device, LOOP_SET_STATUS64, 'void *', info), 'LOOP_SET_STATUS64');
  } catch (error) {
    cIoctl(device, LOOP_CLR_FD, 'int', 0);
    throw error;
  }
}

function configure(device: number, backing: number, info: Buffer): void {
  const config = Buffer.alloc(CONFIG_BYTES);
  writeU32(config, backing, 0);
  config.set(info, 8);
  try {
    checked(cIoctl(device, LOOP_CONFIGURE, 'void *', config), 'LOOP_CONFIGURE');
  } catch (error) {
    if (!(error instanceof KernelError) || !['EINVAL', 'ENOTTY'].includes(error.errno)) throw error;
    configureInSteps(device, backing, info);
  }
}

function readU64(buffer: Buffer, offset: number): bigint {
  return LITTLE_ENDIAN ? buffer.readBigUInt64LE(offset) : buffer.readBigUInt64BE(offset);
}

function readU32(buffer: Buffer, offset: number): number {
  return LITTLE_ENDIAN ? buffer.readUInt32LE(offset) : buffer.readUInt32BE(offset);
}

/**
 * The file that `device` is of, all of it; undefined: it is another device. For reading: as we attach files ourselves. For writing: by
 * whomever it was attached and for how long.
 */
function imageOf(device: number, access: LoopAccess): string | undefined {
  const info = Buffer.alloc(INFO_BYTES);
  if (cIoctl(device, LOOP_GET_STATUS64, 'void *', info) < 0) return undefined;
  const isPart = readU64(info, START_OFFSET) !== 0n || readU64(info, LIMIT_OFFSET) !== 0n;
  const flags = readU32(info, FLAGS_OFFSET);
  const isSuch =
    access === 'read' ? flags === (LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR) : (flags & LO_FLAGS_READ_ONLY) === 0;
  return isPart || !isSuch ? undefined : `${readU64(info, DEVICE_OFFSET)}:${readU64(info, INODE_OFFSET)}`;
}

/** As a loop device names its file: both are what the file system says of it (drivers/block/loop.c, loop_get_status). */
function fileKey(file: string): string {
  const { dev, ino } = statSync(file, { bigint: true });
  return `${dev}:${ino}`;
}

/** Undefined: it is gone, or not as `isWanted` wants it. As long as it is open it stays what it is. */
function openImage(
  path: string,
  access: LoopAccess,
  isWanted: (key: string | undefined) => boolean,
): LoopDevice | undefined {
  let device: number;
  try {
    device = openSync(path, 'r');
  } catch {
    return undefined;
  }
  if (isWanted(imageOf(device, access))) return { path, close: () => closeSync(device) };
  closeSync(device);
  return undefined;
}

/** Those of which anything is: the kernel lists no disk without a size (block/genhd.c), and a machine can have hundreds of free ones. */
function loopsInUse(): string[] {
  const lines = readFileSync('/proc/partitions', 'latin1').split('\n');
  return lines.flatMap((line) => line.match(/\bloop\d+$/) ?? []);
}

/** By the file that they are of: what a process before this one, or mount(8), has attached. */
function attachedImages(): Map<string, string> {
  const paths = new Map<string, string>();
  for (const name of loopsInUse()) {
    const path = `/dev/${name}`;
    openImage(path, 'read', (key) => {
      if (key !== undefined) paths.set(key, path);
      return false;
    });
  }
  return paths;
}

/**
 * Attaches files for reading; one that is attached already keeps its device, and whoever mounts that shares what the kernel has read of it,
 * as mount(8) does. Others may have taken the device since, so it is asked what it is of.
 */
export function createSharedLoopDevices(): (file: string) => LoopDevice {
  let paths: Map<string, string> | undefined;
  return (file) => {
    paths ??= attachedImages();
    const wanted = fileKey(file);
    const path = paths.get(wanted);
    const shared = path === undefined ? undefined : openImage(path, 'read', (key) => key === wanted);
    if (shared !== undefined) return shared;
    const device = attachLoopDevice(file);
    paths.set(wanted, device.path);
    return device;
  };
}

/**
 * The device through which `file` is written to already, or a new one. Whoever mounts it gets the file system that is on it: a second device
 * would be a second file system on the same blocks, and neither knows what the other writes. Nobody may attach it meanwhile.
 */
export function attachForWriting(file: string): LoopDevice {
  const wanted = fileKey(file);
  for (const name of loopsInUse()) {
    const present = openImage(`/dev/${name}`, 'write', (key) => key === wanted);
    if (present !== undefined) return present;
  }
  return attachLoopDevice(file, 'write');
}

/** Needs CAP_SYS_ADMIN and /dev/loop-control. Throws KernelError or Node's system errors. */
export function attachLoopDevice(file: string, access: LoopAccess = 'read'): LoopDevice {
  const mode = access === 'read' ? 'r' : 'r+';
  const info = infoOf(file, access);
  const backing = openSync(file, mode);
  const control = openSync('/dev/loop-control', 'r+');
  try {
    for (let attempt = 1; ; attempt += 1) {
      const path = `/dev/loop${checked(cIoctl(control, LOOP_CTL_GET_FREE, 'int', 0), 'LOOP_CTL_GET_FREE')}`;
      const device = openSync(path, mode);
      try {
        configure(device, backing, info);
        return { path, close: () => closeSync(device) };
      } catch (error) {
        closeSync(device);
        if (attempt === ATTEMPTS || !(error instanceof KernelError && error.errno === 'EBUSY')) throw error;
      }
    }
  } finally {
    closeSync(control);
    closeSync(backing);
  }
}
