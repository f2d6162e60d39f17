// Whether a container's /dev can be a folder that Berth fills: it is laid over the tmpfs that LXC mounts there. Pure.
import { hasAutodev } from '../lxc-config/autodev.ts';
import type { LxcEntry } from '../lxc-config/entry.ts';
import { fieldsOf } from '../lxc-config/mount-entries.ts';

/** Why not, in words that follow a container's name; undefined: it can. */
export function devFolderProblem(entries: readonly Pick<LxcEntry, 'key' | 'value'>[]): string | undefined {
  if (!hasAutodev(entries)) return "has lxc.autodev = 0, so that its /dev is its image's own";
  const lines = entries.filter(({ key }) => key === 'lxc.mount.entry');
  // A line without a value takes back all before it.
  const mounts = lines.slice(lines.findLastIndex(({ value }) => value === '') + 1);
  return mounts.some(({ value }) => fieldsOf(value).target === 'dev') ? 'mounts its own /dev' : undefined;
}
