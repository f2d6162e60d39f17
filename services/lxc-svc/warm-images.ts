// Keeps the images of a container that is unmounted for a moment: one that is started again at once finds its loop device, and what the
// kernel has read and unpacked of it. A new loop device alone makes the whole service wait for a grace period of RCU (LOOP_CONFIGURE).
import { close } from 'node:fs';
import { KernelError } from '../../shared/kernel/libc.ts';
import { holdMounted } from '../../shared/kernel/mount.ts';
import type { Mount } from './mount-table.ts';

/** A restart mounts some 20 ms after it has unmounted; on a busy board it may be ten times that. */
const WARM_MS = 250;

export interface WarmImages {
  /** Of these mounts, which are about to be taken away. */
  keep(mounts: readonly Mount[]): void;
}

export function createWarmImages(): WarmImages {
  /** By device: containers that are the same image share it. */
  const held = new Set<string>();
  const hold = (device: string, target: string): void => {
    let fd: number;
    try {
      fd = holdMounted(target);
    } catch (error) {
      // An old kernel: it starts cold.
      if (!(error instanceof KernelError)) throw error;
      return;
    }
    held.add(device);
    // With the last user the file system is unmounted by whoever closes: a thread of the pool, as that takes milliseconds. With the
    // process it is closed as well.
    const letGo = setTimeout(() => {
      held.delete(device);
      close(fd);
    }, WARM_MS);
    letGo.unref();
  };
  return {
    keep(mounts) {
      for (const { type, source, target } of mounts) if (type === 'squashfs' && !held.has(source)) hold(source, target);
    },
  };
}
