// Hears from the kernel which devices come and go (NETLINK_KOBJECT_UEVENT; kernel: lib/kobject_uevent.c). Out: their keys only, as a
// process with CAP_NET_ADMIN can send the like; what there is of them, /sys tells.
import { closeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { EPOLLIN, openPoller, type Poller } from '../../shared/kernel/epoll.ts';
import { KernelError, recv, setsockopt } from '../../shared/kernel/libc.ts';
import { bindNetlink, NETLINK_KOBJECT_UEVENT, openNetlink } from '../../shared/kernel/netlink.ts';
import { type DeviceKey, deviceKey } from './device-table.ts';

/** asm-generic/socket.h */
const SOL_SOCKET = 1;
const SO_RCVBUFFORCE = 33;
/** The kernel's own; the second is udev's. */
const KERNEL_GROUP = 1;
/** What a hub with all that hangs on it sends at once; taken of memory only when it is needed. */
const QUEUE_BYTES = 1024 * 1024;
/** UEVENT_BUFFER_SIZE is 2 KiB, beside action and path (linux/kobject.h). */
const MESSAGE_BYTES = 8 * 1024;
/** Devices come in bursts, and nobody shall keep the service busy by making the kernel speak. */
const PAUSE_MS = 20;
const MAX_AT_ONCE = 2_000;

export interface Uevents {
  close(): void;
}

/** `onDevices`: those that have come or gone; `all`: some were missed. Throws KernelError where there is nothing to hear. */
export function watchUevents(
  onDevices: (keys: ReadonlySet<DeviceKey> | 'all') => void,
  onLost: (error: unknown) => void,
): Uevents {
  const fd = listen();
  const poller = pollerOf(fd);
  const buffer = Buffer.allocUnsafeSlow(MESSAGE_BYTES);
  let isClosed = false;
  const hear = async (): Promise<void> => {
    try {
      while (!isClosed) {
        const ready = await poller.wait(-1);
        if (isClosed || ready.length === 0) continue;
        const keys = take(fd, buffer);
        if (keys === 'all' || keys.size > 0) onDevices(keys);
        await delay(PAUSE_MS, undefined, { ref: false });
      }
    } finally {
      poller.close();
      closeSync(fd);
    }
  };
  hear().catch(onLost);
  return {
    close() {
      isClosed = true;
      poller.close();
    },
  };
}

function pollerOf(fd: number): Poller {
  try {
    return openPoller([{ fd, events: EPOLLIN }]);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function listen(): number {
  return openNetlink(NETLINK_KOBJECT_UEVENT, (fd) => {
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, Buffer.from(Uint32Array.of(QUEUE_BYTES).buffer));
    bindNetlink(fd, { groups: KERNEL_GROUP });
  });
}

function take(fd: number, buffer: Buffer): ReadonlySet<DeviceKey> | 'all' {
  const keys = new Set<DeviceKey>();
  let isMissing = false;
  for (let count = 0; count < MAX_AT_ONCE; count += 1) {
    try {
      const key = deviceOf(buffer.subarray(0, recv(fd, buffer, 0)).toString('latin1'));
      if (key !== undefined) keys.add(key);
    } catch (error) {
      if (error instanceof KernelError && error.errno === 'EAGAIN') break;
      if (!(error instanceof KernelError) || error.errno !== 'ENOBUFS') throw error;
      isMissing = true;
    }
  }
  return isMissing ? 'all' : keys;
}

/** `add@/devices/…`, then `NAME=value`, each with a NUL behind it. Undefined: nothing of a device has changed but its state. */
export function deviceOf(message: string): DeviceKey | undefined {
  const values = new Map(
    message.split('\0').map((field): [string, string] => {
      const at = field.indexOf('=');
      return [field.slice(0, Math.max(0, at)), field.slice(at + 1)];
    }),
  );
  const [action = '', major = '', minor = ''] = ['ACTION', 'MAJOR', 'MINOR'].map((name) => values.get(name));
  if (!/^(?:add|remove)$/.test(action) || !/^\d{1,9}$/.test(major) || !/^\d{1,9}$/.test(minor)) return undefined;
  const kind = values.get('SUBSYSTEM') === 'block' ? 'block' : 'char';
  return deviceKey({ kind, major: Number(major), minor: Number(minor) });
}
