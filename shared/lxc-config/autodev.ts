// Whether LXC mounts a tmpfs of its own on /dev (`lxc.autodev`, lxc.container.conf(5)). Pure.
import type { LxcEntry } from './entry.ts';
import { unsignedNumber } from './numbers.ts';

/** It does where nothing is said of it; with 0, however that is written, and with no value /dev is the container's own. */
export function hasAutodev(entries: readonly Pick<LxcEntry, 'key' | 'value'>[]): boolean {
  return unsignedNumber(entries.findLast(({ key }) => key === 'lxc.autodev')?.value ?? '1') === 1;
}
