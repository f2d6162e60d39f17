// Lines that put a container into its network, and its name. Pure.
import { namesOf } from '../../shared/lxc-config/owned-keys.ts';
import type { ContainerNetwork } from '../../shared/schema/network.ts';
import { adding, type ConfigLine, type ConfigPart, type ConfigSettings } from './config-draft.ts';
import { ownNetwork } from './network-needs.ts';

/** A container without a network block may name itself, as it brings its own network. */
export const identity = adding(({ hostname, rootfs }, { entries }) => {
  const isNamed = entries.findLast(({ key }) => key === 'lxc.uts.name')?.value;
  return [
    ...(isNamed ? [] : [{ key: 'lxc.uts.name', value: hostname }]),
    { key: 'lxc.rootfs.path', value: `dir:${rootfs}` },
  ];
});

export const network: ConfigPart = (draft, settings) => ({
  ...draft,
  entries: [...withNamespaces(draft.entries, settings.network), ...networkLines(draft.entries, settings)],
});

/**
 * `net` is not in the list of kept namespaces, but in that of cloned ones: the monitor is where the container shall not be. `user` the other
 * way round, as there are no user namespaces, and one without a map lets nobody make anything.
 */
function withNamespaces(entries: readonly ConfigLine[], { kind }: ContainerNetwork): readonly ConfigLine[] {
  const clones = namesOf(entries, 'lxc.namespace.clone').length > 0;
  const listKey = clones ? 'lxc.namespace.clone' : 'lxc.namespace.keep';
  const others = entries.filter(({ key }) => key !== listKey);
  const list = new Set(namesOf(entries, listKey));
  if (kind !== 'legacy') setMember(list, 'net', clones);
  setMember(list, 'user', !clones && list.size > 0);
  return list.size === 0 ? others : [...others, { key: listKey, value: [...list].join(' ') }];
}

function setMember(list: Set<string>, name: string, isMember: boolean): void {
  if (isMember) list.add(name);
  else list.delete(name);
}

function networkLines(entries: readonly ConfigLine[], settings: ConfigSettings): readonly ConfigLine[] {
  const { network, hostNetwork } = settings;
  const share = (value: string): readonly ConfigLine[] => [{ key: 'lxc.namespace.share.net', value }];
  switch (network.kind) {
    case 'netns':
      return share(network.path);
    case 'none':
      return [{ key: 'lxc.net.0.type', value: 'empty' }];
    case 'host':
      return share(hostNetwork);
    case 'legacy':
      // Its own lines mean the host's.
      return ownNetwork(entries) === 'monitor' ? share(hostNetwork) : [];
  }
}

/** Namespaces of a container that runs: LXC would ask its monitor, which may be where it finds none. */
export const sharedNamespaces: ConfigPart = (draft, { pidOf }) => ({
  ...draft,
  entries: draft.entries.map((entry) => {
    const [, name] = /^lxc\.namespace\.share\.(.+)$/.exec(entry.key) ?? [];
    const pid = name === undefined ? undefined : pidOf(entry.value);
    return pid === undefined ? entry : { ...entry, value: `/proc/${pid}/ns/${name}` };
  }),
});
