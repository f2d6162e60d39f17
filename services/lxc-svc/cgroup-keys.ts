// `lxc.cgroup.*` (version 1) and `lxc.cgroup2.*` lines as this host can use them, and where Berth puts the groups. Pure.
import { namesOf } from '../../shared/lxc-config/owned-keys.ts';
import type { CgroupSupport } from './cgroup-tree.ts';
import { adding, type ConfigLine, type ConfigPart, placeOf } from './config-draft.ts';

const LIMIT_KEY = /^lxc\.(cgroup2?)\.([a-z_]+)\.\S+$/;

/**
 * Lines for controllers that the host has in the other version only are dropped, except device rules, which mean the same in both:
 * they are translated, unless the configuration has its own for that version.
 */
export const cgroupLimits: ConfigPart = (draft, { host }) => {
  const notes: string[] = [];
  const has = (version: string, controller: string): boolean =>
    (version === 'cgroup' ? host.v1 : host.v2).has(controller);
  const ownDeviceRules = (version: string): boolean =>
    ['allow', 'deny'].some((rule) => namesOf(draft.entries, `lxc.${version}.devices.${rule}`).length > 0);
  const entries = draft.entries.flatMap((entry): ConfigLine[] => {
    const [, version, controller = ''] = LIMIT_KEY.exec(entry.key) ?? [];
    if (version !== 'cgroup' && version !== 'cgroup2') return [entry];
    if (controller === 'dir' || has(version, controller)) return [entry];
    const other = version === 'cgroup' ? 'cgroup2' : 'cgroup';
    const place = `${placeOf(entry)} ${entry.key}`;
    if (controller === 'devices' && has(other, controller) && !ownDeviceRules(other)) {
      notes.push(`${place} applied as lxc.${other}, which this host has`);
      return [{ ...entry, key: entry.key.replace(`lxc.${version}.`, `lxc.${other}.`) }];
    }
    notes.push(`${place} dropped, this host has no ${controller} controller of that version`);
    return [];
  });
  return { ...draft, entries, notes: [...draft.notes, ...notes] };
};

/** What version 1 calls otherwise than version 2. */
const SAME: Readonly<Record<string, string>> = { blkio: 'io' };

/** Controllers of which the container has lines, and this host none that would heed any of them: what they limit is not limited. */
export function unlimited(entries: readonly ConfigLine[], host: CgroupSupport): readonly string[] {
  const heeded = new Map<string, boolean>();
  for (const { key, value } of entries) {
    const [, version, controller = ''] = LIMIT_KEY.exec(key) ?? [];
    // Device rules are translated, `dir` says where the groups are; what is empty clears.
    if (version === undefined || controller === 'devices' || controller === 'dir') continue;
    const name = SAME[controller] ?? controller;
    const isHeeded = (version === 'cgroup' ? host.v1 : host.v2).has(controller);
    if (value === '') heeded.delete(name);
    else heeded.set(name, isHeeded || heeded.get(name) === true);
  }
  return [...heeded].filter(([, isHeeded]) => !isHeeded).map(([name]) => name);
}

/** Limits belong to `payload`. What the container sees of its control groups begins below it, so that its root cannot raise them. */
export const cgroupPlaces = adding(({ cgroup }) => [
  { key: 'lxc.cgroup.dir.container', value: `${cgroup}/payload` },
  { key: 'lxc.cgroup.dir.container.inner', value: 'inner' },
  { key: 'lxc.cgroup.dir.monitor', value: `${cgroup}/monitor` },
  { key: 'lxc.cgroup.dir.monitor.pivot', value: cgroup },
]);
