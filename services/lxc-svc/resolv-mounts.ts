// Lines that bind the host's /etc/resolv.conf, as packagers write them into every container, for one with a network of its own. Pure.
import { fieldsOf, withFields } from '../../shared/lxc-config/mount-entries.ts';
import type { ConfigLine } from './config-draft.ts';
import { partsOf } from './inside-path.ts';

const RESOLV_CONF = 'etc/resolv.conf';

export interface ResolvPlaces {
  /** Of all containers, read-only. */
  place(): string;
  /** Its own, to write. */
  copy(): string;
}

/** `places`: answer where its name servers are; asked where there is such a line, for a copy once. */
export function withResolvConf(entries: readonly ConfigLine[], places: ResolvPlaces): readonly ConfigLine[] {
  let copied: string | undefined;
  const copy = (): string => {
    copied ??= places.copy();
    return copied;
  };
  return entries.map((entry) => {
    // Most lines do not even have the word.
    if (entry.key !== 'lxc.mount.entry' || !entry.value.includes('resolv.conf')) return entry;
    const { source, options } = fieldsOf(entry.value);
    const isBound = (options.has('bind') || options.has('rbind')) && !options.has('relative');
    if (!isBound || !source.startsWith('/') || partsOf(source).join('/') !== RESOLV_CONF) return entry;
    const its = options.has('ro') ? places.place() : copy();
    return { ...entry, value: withFields(entry.value, { source: its }) };
  });
}
