// Lines that put a container into its network, and its name. Pure.
import { namesOf } from '../../shared/lxc-config/owned-keys.ts';
import type { ContainerNetwork } from '../../shared/schema/network.ts';
import { adding, type ConfigLine, type ConfigPart } from './config-draft.ts';

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
  entries: [...withNamespaces(draft.entries, settings.network), ...networkLines(settings.network)],
});

/** `net` in or out of the list of kept, or of cloned, namespaces, as the kind of network asks. */
function withNamespaces(entries: readonly ConfigLine[], { kind }: ContainerNetwork): readonly ConfigLine[] {
  if (kind === 'legacy') return entries;
  const isHost = kind === 'host';
  const clones = namesOf(entries, 'lxc.namespace.clone').length > 0;
  const listKey = clones ? 'lxc.namespace.clone' : 'lxc.namespace.keep';
  const others = entries.filter(({ key }) => key !== listKey);
  const list = new Set(namesOf(entries, listKey).filter((name) => name !== 'net'));
  if (isHost !== clones) list.add('net');
  return list.size === 0 ? others : [...others, { key: listKey, value: [...list].join(' ') }];
}

function networkLines(network: ContainerNetwork): readonly ConfigLine[] {
  switch (network.kind) {
    case 'netns':
      return [{ key: 'lxc.namespace.share.net', value: network.path }];
    case 'none':
      return [{ key: 'lxc.net.0.type', value: 'empty' }];
    case 'host':
    case 'legacy':
      return [];
  }
}
