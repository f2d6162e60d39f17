// Mounts of a container's root filesystem: the squashfs on a loop device, the writable layer, the overlay of both. Each function looks at
// what is mounted first, so that it can be repeated after any interruption.
import { mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { KernelError } from '../../shared/kernel/libc.ts';
import { attachLoopDevice } from '../../shared/kernel/loop-device.ts';
import { MS_RDONLY, mount, unmount } from '../../shared/kernel/mount.ts';
import { mountsBelow, readMountTable } from './mount-table.ts';
import type { ContainerPlaces } from './places.ts';

/** A step that did not work. `reason` is for people. */
export class StepFailure extends Error {
  readonly step: string;
  readonly reason: string;

  constructor(step: string, reason: string) {
    super(`${step}: ${reason}`);
    this.step = step;
    this.reason = reason;
  }
}

export function failingStep<T>(step: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw new StepFailure(step, error instanceof Error ? error.message : String(error));
  }
}

/** Of the container, and nothing else, is mounted what belongs to it. */
export function isRootMounted(places: ContainerPlaces): boolean {
  return readMountTable().some(({ target, type }) => target === places.rootfs && type === 'overlay');
}

/** Commas and colons separate options and layers in overlayfs (kernel: Documentation/filesystems/overlayfs.rst). */
function escapeLayer(path: string): string {
  return path.replace(/[\\:,]/g, '\\$&');
}

function mountSquashfs(file: string, target: string): void {
  const loop = attachLoopDevice(file);
  try {
    mount(loop.path, target, 'squashfs', MS_RDONLY);
  } finally {
    loop.close();
  }
}

/**
 * `layer`: the folder of the writable layer, which gets `upper` and `work`; it is inside `places.boot` for a layer that lives in a
 * tmpfs. Throws StepFailure; what was mounted until then stays for unmountRoot.
 */
export function mountRoot(places: ContainerPlaces, squashfs: string, layer: string): void {
  for (const folder of [places.lower, places.rootfs])
    failingStep('folders', () => mkdirSync(folder, { recursive: true }));
  if (layer.startsWith(`${places.boot}/`)) {
    failingStep('boot volume', () => {
      mkdirSync(places.boot, { recursive: true });
      // Not nodev or nosuid for what becomes a root filesystem; the overlay has its own flags.
      mount('berth-boot', places.boot, 'tmpfs', 0, 'mode=0755');
    });
  }
  const [upper, work] = [join(layer, 'upper'), join(layer, 'work')];
  failingStep('writable layer', () => {
    for (const folder of [upper, work]) mkdirSync(folder, { recursive: true, mode: 0o755 });
  });
  failingStep('squashfs', () => mountSquashfs(squashfs, places.lower));
  const options = `lowerdir=${escapeLayer(places.lower)},upperdir=${escapeLayer(upper)},workdir=${escapeLayer(work)}`;
  failingStep('overlay', () => mount('berth-root', places.rootfs, 'overlay', 0, options));
}

/** Milliseconds between tries of a busy mount, and how many there are. */
const BUSY_RETRY_MS = 50;
const BUSY_TRIES = 6;

export interface Unmounted {
  /** Was busy to the end: detached, and gone when its last user is. */
  readonly detached: readonly string[];
  readonly failures: readonly string[];
}

/** Everything mounted in the container's folder, the last first, whatever it is. Never rejects. */
export async function unmountRoot(places: ContainerPlaces): Promise<Unmounted> {
  const detached: string[] = [];
  const failures: string[] = [];
  for (const { target } of mountsBelow(readMountTable(), places.folder).reverse()) {
    try {
      if (!(await unmountPatiently(target))) {
        unmount(target, true);
        detached.push(target);
      }
    } catch (error) {
      failures.push(String(error));
    }
  }
  for (const folder of [places.rootfs, places.lower, places.boot]) removeMountPoint(folder);
  return { detached, failures };
}

/** False: busy to the end. */
async function unmountPatiently(target: string): Promise<boolean> {
  for (let attempt = 1; attempt <= BUSY_TRIES; attempt += 1) {
    try {
      unmount(target);
      return true;
    } catch (error) {
      if (!(error instanceof KernelError && error.errno === 'EBUSY')) throw error;
      if (attempt < BUSY_TRIES) await delay(BUSY_RETRY_MS);
    }
  }
  return false;
}

function removeMountPoint(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // Not there, or still mounted: it is in `failures` then.
  }
}
