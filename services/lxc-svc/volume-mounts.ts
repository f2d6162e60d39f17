// Sources of mount entries that mean container storage: /volumes/<container>/<volume> and /exports/<container>/<path>, which are where
// Berth has them. A volume itself is a mount in a folder of Berth's; what is deeper is found and bound when the container starts, as the
// path to it is somebody's to change. Pure.
import type { LxcEntry } from '../../shared/lxc-config/entry.ts';
import {
  fieldsOf,
  MAKES_SOURCE,
  type StorageSource,
  storageSource,
  withFields,
} from '../../shared/lxc-config/mount-entries.ts';
import { readOverlay } from '../../shared/lxc-config/overlay-entries.ts';
import { type ConfigLine, type ConfigPart, placeOf } from './config-draft.ts';
import type { BoundFolder } from './exports.ts';
import type { MountSource } from './mount-sources.ts';
import type { StorageRoots } from './places.ts';

/** Throws an error that names the line which mounts a volume that the container does not have. */
export const volumeMounts: ConfigPart = (draft, settings) => {
  const sources: MountSource[] = [];
  const notes: string[] = [];
  const withPlace = (entry: ConfigLine): readonly ConfigLine[] => {
    const fields = entry.key === 'lxc.mount.entry' ? fieldsOf(entry.value) : undefined;
    const found = fields === undefined ? undefined : hostSource(fields.source, settings.storageRoots);
    if (fields === undefined || found === undefined) return [entry];
    const { root, inside, volume } = found;
    const isOptional = fields.options.has('optional');
    const isOwn = found.container === settings.container && volume !== undefined;
    if (isOwn && !settings.volumes.has(volume)) {
      // A folder in its place would be in memory, and gone with the next reboot.
      const reason = `${placeOf(entry)} ${fields.source}: ${settings.container} has no volume '${volume}'`;
      if (!isOptional) throw new Error(reason);
      notes.push(`${reason}; left out`);
      return [];
    }
    const path = [root, inside].join('/').replace(/\/$/, '');
    notes.push(`${placeOf(entry)} ${entry.value} mounts ${path}`);
    const from = (source: string) => [{ ...entry, value: withFields(entry.value, { source }) }];
    if (volume !== undefined && inside === '') return from(path);
    const place = `${settings.sourcesFolder}/${draft.sources.length + sources.length}`;
    const isMade =
      (isOwn && !fields.options.has('create=file')) || (volume !== undefined && fields.options.has(MAKES_SOURCE));
    const isRecursive = fields.options.has('rbind');
    const isBerths = volume === undefined;
    sources.push({ name: fields.source, place, root, inside, isBerths, isMade, isOptional, isRecursive });
    return from(place);
  };
  const entries = draft.entries.flatMap(withPlace);
  return { entries, sources: [...draft.sources, ...sources], notes: [...draft.notes, ...notes] };
};

/** Folders of the container's own volumes that LXC mounts by its configuration, and where. */
export function boundFolders(entries: readonly LxcEntry[], container: string, roots: StorageRoots): BoundFolder[] {
  const lines = entries.filter(({ key }) => key === 'lxc.mount.entry');
  // A line without a value takes back all before it.
  return lines.slice(lines.findLastIndex(({ value }) => value === '') + 1).flatMap(({ value }): BoundFolder[] => {
    const fields = fieldsOf(value);
    if (fields.isAbsolute) return [];
    if (readOverlay(fields, container) !== undefined) return [{ kind: 'overlay', target: fields.target }];
    const found = hostSource(fields.source, roots);
    if (found?.container !== container || found.volume === undefined) return [];
    const isMade = !fields.options.has('create=file');
    return [{ kind: 'volume', target: fields.target, root: found.root, inside: found.inside, isMade }];
  });
}

interface HostSource {
  readonly container: string;
  /** Undefined: an export, or all volumes of the container. */
  readonly volume: string | undefined;
  /** The volume; without one, a folder of Berth's. */
  readonly root: string;
  /** Below it; empty: itself. */
  readonly inside: string;
}

function hostSource(source: string, roots: StorageRoots): HostSource | undefined {
  const found = storageSource(source);
  return found === undefined ? undefined : placeIn(found, roots);
}

export function placeIn({ kind, container, parts }: StorageSource, { lxc, exports }: StorageRoots): HostSource {
  if (kind === 'exports') {
    return { container, volume: undefined, root: `${exports}/${container}`, inside: parts.join('/') };
  }
  const [volume, ...inside] = parts;
  const volumes = `${lxc}/${container}/volumes`;
  return { container, volume, root: volume === undefined ? volumes : `${volumes}/${volume}`, inside: inside.join('/') };
}
