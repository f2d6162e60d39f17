// Lines that bind the host's /etc/resolv.conf, as packagers write them into every container, for one with a network of its own. Pure.
import { fieldsOf, withFields } from '../../shared/lxc-config/mount-entries.ts';
import type { ConfigLine } from './config-draft.ts';
import { partsOf } from './inside-path.ts';

const RESOLV_CONF = 'etc/resolv.conf';

/** `place`: answers where its name servers are; asked where there is such a line. Read-only, as it is for all containers. */
export function withResolvConf(entries: readonly ConfigLine[], place: () => string): readonly ConfigLine[] {
  return entries.map((entry) => {
    // Most lines do not even have the word.
    if (entry.key !== 'lxc.mount.entry' || !entry.value.includes('resolv.conf')) return entry;
    const { source, options } = fieldsOf(entry.value);
    const isBound = (options.has('bind') || options.has('rbind')) && !options.has('relative');
    if (!isBound || !source.startsWith('/') || partsOf(source).join('/') !== RESOLV_CONF) return entry;
    const others = [...options].filter((option) => option !== 'rw' && option !== 'ro');
    return { ...entry, value: withFields(entry.value, { source: place(), options: [...others, 'ro'] }) };
  });
}
