// Keys of the LXC configuration that are Berth's alone: what the container's own says about them is dropped. Pure.
import type { ConfigLine, ConfigPart } from './config-draft.ts';
import { placeOf } from './config-draft.ts';

const OWNED_KEYS = new Set([
  'lxc.rootfs.path',
  'lxc.rootfs.mount',
  'lxc.uts.name',
  'lxc.console.logfile',
  'lxc.console.size',
  'lxc.console.rotate',
  'lxc.cgroup.relative',
  'lxc.namespace.share.net',
  'lxc.ephemeral',
  'lxc.execute.cmd',
]);
const OWNED_FAMILIES = ['lxc.log.', 'lxc.cgroup.dir', 'lxc.start.'];

export const withoutOwned: ConfigPart = (draft, { network }) => {
  const isOwned = ({ key }: ConfigLine): boolean =>
    OWNED_KEYS.has(key) ||
    OWNED_FAMILIES.some((family) => key.startsWith(family)) ||
    (key === 'lxc.net' || key.startsWith('lxc.net.') ? network.kind !== 'legacy' : false);
  const dropped = draft.entries.filter(isOwned);
  return {
    ...draft,
    entries: draft.entries.filter((entry) => !isOwned(entry)),
    notes: [
      ...draft.notes,
      ...dropped.map((entry) => `${placeOf(entry)} ${entry.key} = ${entry.value} dropped: Berth sets it`),
    ],
  };
};
