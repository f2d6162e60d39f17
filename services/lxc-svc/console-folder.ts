// The memory in which containers' consoles wait for the log service: one tmpfs with a bound, whatever nobody reads.
import { mkdirSync } from 'node:fs';
import { mount, unmount } from '../../shared/kernel/mount.ts';
import type { Mount } from './mount-table.ts';
import { consolesPath, type Places } from './places.ts';

/**
 * Four times what is kept of a flood (flood-limit.ts of the log service), so that one container that is ahead leaves room to others; a
 * quarter of the smallest device. Of each console that was read, a page and less than 32 KiB stay: enough for hundreds of containers.
 */
const SIZE = '16m';

/** Mounted already, by a service before: a no-op. Throws KernelError. */
export function openConsoleFolder(places: Places, table: readonly Mount[]): void {
  const path = consolesPath(places);
  if (table.some(({ target }) => target === path)) return;
  mkdirSync(path, { recursive: true });
  mount('berth-consoles', path, 'tmpfs', 0, `mode=0755,size=${SIZE}`);
}

/** What the log service has open, it reads to its end. */
export function closeConsoleFolder(places: Places): void {
  unmount(consolesPath(places), true);
}
