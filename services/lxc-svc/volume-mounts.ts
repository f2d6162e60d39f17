// Sources of mount entries that mean container storage: /volumes/<container>/<volume> and /exports/<container>/<path>, which are where
// Berth has them. A volume itself is a mount in a folder of Berth's; what is deeper is found and bound when the container starts, as the
// path to it is somebody's to change. Pure.
import type { LxcEntry } from '../../shared/lxc-config/parse.ts';
import { CONTAINER_NAME } from '../../shared/schema/names.ts';
import { type ConfigLine, type ConfigPart, placeOf } from './config-draft.ts';
import type { BoundFolder } from './exports.ts';
import { partsOf } from './inside-path.ts';
import { fieldsOf, withFields } from './mount-entries.ts';
import type { MountSource } from './mount-sources.ts';

export interface StorageRoots {
  /** Holds <container>/volumes/<volume>. */
  readonly lxc: string;
  /** Holds <container>/<path>. */
  readonly exports: string;
}

export const volumeMounts: ConfigPart = (draft, settings) => {
  const volumeFolders: string[] = [];
  const sources: MountSource[] = [];
  const notes: string[] = [];
  const sourceOf = (entry: ConfigLine): string | undefined => {
    const fields = entry.key === 'lxc.mount.entry' ? fieldsOf(entry.value) : undefined;
    const found = fields === undefined ? undefined : hostSource(fields.source, settings.storageRoots);
    if (fields === undefined || found === undefined) return undefined;
    const { root, inside, volume } = found;
    const path = [root, inside].join('/').replace(/\/$/, '');
    notes.push(`${placeOf(entry)} ${entry.value} mounts ${path}`);
    const isMade = found.container === settings.container && volume !== undefined && !fields.options.has('create=file');
    if (isMade) volumeFolders.push(root);
    if (volume !== undefined && inside === '') return path;
    const place = `${settings.sourcesFolder}/${draft.sources.length + sources.length}`;
    const isOptional = fields.options.has('optional');
    const isRecursive = fields.options.has('rbind');
    const isBerths = volume === undefined;
    sources.push({ name: fields.source, place, root, inside, isBerths, isMade, isOptional, isRecursive });
    return place;
  };
  const entries = draft.entries.map((entry): ConfigLine => {
    const source = sourceOf(entry);
    return source === undefined ? entry : { ...entry, value: withFields(entry.value, { source }) };
  });
  return {
    entries,
    volumeFolders: [...draft.volumeFolders, ...new Set(volumeFolders)],
    sources: [...draft.sources, ...sources],
    notes: [...draft.notes, ...notes],
  };
};

/** Folders of the container's own volumes that its configuration mounts, by where. */
export function boundFolders(entries: readonly LxcEntry[], container: string, roots: StorageRoots): BoundFolder[] {
  return entries.flatMap(({ key, value }) => {
    const fields = key === 'lxc.mount.entry' ? fieldsOf(value) : undefined;
    const found = fields === undefined ? undefined : hostSource(fields.source, roots);
    if (fields === undefined || found?.container !== container || found.volume === undefined) return [];
    return [{ target: fields.target, root: found.root, inside: found.inside }];
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

/** Undefined for every other source, and for one with two dots, which would lead out of the container's own. */
function hostSource(source: string, { lxc, exports }: StorageRoots): HostSource | undefined {
  const [, kind, container = '', rest = ''] = /^\/(volumes|exports)\/([^/]+)(\/.*)?$/.exec(source) ?? [];
  if (kind === undefined || !CONTAINER_NAME.test(container) || rest.split('/').includes('..')) return undefined;
  const parts = partsOf(rest);
  if (kind === 'exports') {
    return { container, volume: undefined, root: `${exports}/${container}`, inside: parts.join('/') };
  }
  const [volume, ...inside] = parts;
  const volumes = `${lxc}/${container}/volumes`;
  return { container, volume, root: volume === undefined ? volumes : `${volumes}/${volume}`, inside: inside.join('/') };
}
