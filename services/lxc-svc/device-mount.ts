// The line that lays a container's folder of device nodes over its /dev. Pure.
import type { LxcEntry } from '../../shared/lxc-config/entry.ts';
import { escapeBlanks } from '../../shared/lxc-config/mount-entries.ts';
import { unsignedNumber } from '../../shared/lxc-config/numbers.ts';
import type { ConfigLine, ConfigPart } from './config-draft.ts';

/** What LXC gives its own (lxc.container.conf(5)). */
const DEFAULT_BYTES = 500_000;

/** Before all others, of which some mount below it; LXC makes its own nodes, and the terminals, in what is mounted there by then. */
export const deviceMount: ConfigPart = (draft, { devices }) => {
  if (devices === undefined) return draft;
  const line: ConfigLine = { key: 'lxc.mount.entry', value: `${escapeBlanks(devices)} dev none bind 0 0` };
  // A line without a value takes back all before it.
  const first = draft.entries.findLastIndex(({ key, value }) => key === 'lxc.mount.entry' && value === '') + 1;
  return { ...draft, entries: [...draft.entries.slice(0, first), line, ...draft.entries.slice(first)] };
};

/** How large its /dev may get. */
export function devBytes(entries: readonly Pick<LxcEntry, 'key' | 'value'>[]): number {
  const written = entries.findLast(({ key }) => key === 'lxc.autodev.tmpfs.size')?.value;
  return (written === undefined ? undefined : unsignedNumber(written)) || DEFAULT_BYTES;
}
