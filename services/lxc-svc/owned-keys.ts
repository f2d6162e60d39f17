// Leaves out what the container's own configuration says about things that are Berth's. Pure.
import { isPantavisorKey } from '../../shared/lxc-config/keys.ts';
import { isOwned, type NetworkKind } from '../../shared/lxc-config/owned-keys.ts';
import type { ContainerNetwork } from '../../shared/schema/network.ts';
import { type ConfigPart, placeOf } from './config-draft.ts';

export function networkKind({ kind }: ContainerNetwork): NetworkKind {
  return kind === 'netns' ? 'pool' : kind;
}

export const withoutOwned: ConfigPart = (draft, { network }) => {
  const kind = networkKind(network);
  const dropped = draft.entries.filter((entry) => isOwned(entry, kind));
  return {
    ...draft,
    entries: draft.entries.filter((entry) => !isOwned(entry, kind)),
    notes: [
      ...draft.notes,
      ...dropped.map((entry) => {
        const why = isPantavisorKey(entry.key) ? 'LXC has no such key but on Pantavisor' : 'Berth sets it';
        return `${placeOf(entry)} ${entry.key} = ${entry.value} dropped: ${why}`;
      }),
    ],
  };
};
