// Sources of mount entries that mean container storage: /volumes/<container>/<volume> and /exports/<container>/<path>, which are where
// Berth has them. Pure.
import type { LxcEntry } from '../../shared/lxc-config/parse.ts';
import { CONTAINER_NAME } from '../../shared/schema/names.ts';
import { type ConfigLine, type ConfigPart, placeOf } from './config-draft.ts';
import type { BoundFolder } from './exports.ts';
import { escapeBlanks } from './mount-entries.ts';

export interface StorageRoots {
  /** Holds <container>/volumes/<volume>. */
  readonly lxc: string;
  /** Holds <container>/<path>. */
  readonly exports: string;
}

export const volumeMounts: ConfigPart = (draft, settings) => {
  const volumeFolders: string[] = [];
  const notes: string[] = [];
  const entries = draft.entries.map((entry): ConfigLine => {
    const fields = entry.key === 'lxc.mount.entry' ? fieldsOf(entry.value) : undefined;
    const found = fields === undefined ? undefined : hostSource(fields.source, settings.storageRoots);
    if (fields === undefined || found === undefined) return entry;
    if (found.container === settings.container && found.isVolume && !fields.isFile) volumeFolders.push(found.path);
    notes.push(`${placeOf(entry)} ${entry.value} mounts ${found.path}`);
    return { ...entry, value: [escapeBlanks(found.path), ...fields.rest].join(' ') };
  });
  return { entries, volumeFolders: [...draft.volumeFolders, ...volumeFolders], notes: [...draft.notes, ...notes] };
};

/** Folders of the container's own volumes that its configuration mounts, by where. */
export function boundFolders(entries: readonly LxcEntry[], container: string, roots: StorageRoots): BoundFolder[] {
  return entries.flatMap(({ key, value }) => {
    const fields = key === 'lxc.mount.entry' ? fieldsOf(value) : undefined;
    const found = fields === undefined ? undefined : hostSource(fields.source, roots);
    if (fields === undefined || found?.container !== container || !found.isVolume) return [];
    return [{ target: fields.target, folder: found.path }];
  });
}

/** A line of fstab(5): blanks inside a field are octal escapes. */
function fieldsOf(value: string) {
  const [source = '', ...rest] = value.trim().split(/\s+/);
  const [target = '', , options = ''] = rest;
  return {
    source: unescapeBlanks(source),
    target: unescapeBlanks(target).replace(/^\/+|\/+$/g, ''),
    isFile: options.split(',').includes('create=file'),
    rest,
  };
}

function unescapeBlanks(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/** Undefined for every other source, and for one with two dots, which would lead out of the container's own. */
function hostSource(
  source: string,
  { lxc, exports }: StorageRoots,
): { readonly path: string; readonly container: string; readonly isVolume: boolean } | undefined {
  const [, kind, container = '', inside = ''] = /^\/(volumes|exports)\/([^/]+)(\/.*)?$/.exec(source) ?? [];
  if (kind === undefined || !CONTAINER_NAME.test(container) || inside.split('/').includes('..')) return undefined;
  const below = inside.replace(/\/+/g, '/').replace(/\/$/, '');
  return kind === 'volumes'
    ? { path: `${lxc}/${container}/volumes${below}`, container, isVolume: below !== '' }
    : { path: `${exports}/${container}${below}`, container, isVolume: false };
}
