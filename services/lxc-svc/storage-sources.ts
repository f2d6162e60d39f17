// Sources of mount entries below /storage, where Pantavisor has its storage, in the storage folder, wherever that is. In: lines of a
// container. Out: the same lines, with the host's paths in them, for whoever looks where a source lies. Pure.
import { fieldsOf, withFields } from '../../shared/lxc-config/mount-entries.ts';
import type { ConfigLine } from './config-draft.ts';
import { partsOf } from './inside-path.ts';
import { devicePlace, type Places } from './places.ts';

export function withStorageSources<T extends ConfigLine>(entries: readonly T[], places: Places): readonly T[] {
  return entries.map((entry) => {
    const source = entry.key === 'lxc.mount.entry' ? storageSource(entry.value, places) : undefined;
    return source === undefined ? entry : { ...entry, value: withFields(entry.value, { source }) };
  });
}

/** Undefined: another one; one of the container itself; one with two dots, which would lead out of it. */
function storageSource(value: string, places: Places): string | undefined {
  // Most lines do not even have the word.
  if (!value.includes('/storage')) return undefined;
  const { source, options } = fieldsOf(value);
  if (options.has('relative') || source.split('/').includes('..')) return undefined;
  const place = devicePlace(places, source);
  return place === source ? undefined : `/${partsOf(place).join('/')}`;
}
