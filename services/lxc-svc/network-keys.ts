// Lines that put a container into its network, and its name. Pure.
import type { ContainerNetwork } from '../../shared/schema/network.ts';
import { adding, type ConfigLine, type ConfigPart } from './config-draft.ts';

export const identity = adding(({ hostname, rootfs }) => [
  { key: 'lxc.uts.name', value: hostname },
  { key: 'lxc.rootfs.path', value: `dir:${rootfs}` },
]);

export const network: ConfigPart = (draft, settings) => ({
  ...draft,
  entries: [...withNamespaces(draft.entries, settings.network), ...networkLines(settings.network)],
});

/** `net` in or out of the list of kept, or of cloned, namespaces, as the kind of network asks. */
function withNamespaces(entries: readonly ConfigLine[], { kind }: ContainerNetwork): readonly ConfigLine[] {
  if (kind === 'legacy') return entries;
  const isHost = kind === 'host';
  const clones = entries.some(({ key, value }) => key === 'lxc.namespace.clone' && value !== '');
  const listKey = clones ? 'lxc.namespace.clone' : 'lxc.namespace.keep';
  const others = entries.filter(({ key }) => key !== listKey);
  const named = entries.filter(({ key }) => key === listKey).flatMap(({ value }) => value.split(/\s+/));
  const list = new Set(named.filter((name) => name !== '' && name !== 'net'));
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
