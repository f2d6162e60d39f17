// `lxc.mount.entry` lines (lxc.container.conf(5), fstab(5)), as LXC reads them with getmntent(3), and sources of them that are Berth's. Pure.
import { CONTAINER_NAME } from '../schema/names.ts';

/** The part of an fstab line that a path with blanks is. */
export function escapeBlanks(path: string): string {
  return path.replace(/[ \t\n\\]/g, (blank) => `\\${blank.charCodeAt(0).toString(8).padStart(3, '0')}`);
}

function unescapeBlanks(field: string): string {
  return field.replace(/\\(?:(040|011|012|134)|\\)/g, (_, octal = '134') =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}

function splitFields(value: string): string[] {
  return value.split(/[ \t]+/).filter((field) => field !== '');
}

/** What a line says; `target`: without slashes at its ends. */
export function fieldsOf(value: string) {
  const [source = '', written = '', type = '', options = ''] = splitFields(value);
  const target = unescapeBlanks(written);
  return {
    source: unescapeBlanks(source),
    target: target.replace(/^\/+|(?<!\/)\/+$/g, ''),
    /** LXC passes over it, unless it begins with the path of the root filesystem. */
    isAbsolute: target.startsWith('/'),
    type,
    options: new Set(unescapeBlanks(options).split(',')),
  };
}

/** The line with these instead of its own. */
export function withFields(
  value: string,
  changed: {
    readonly source?: string;
    readonly target?: string;
    readonly type?: string;
    readonly options?: Iterable<string>;
  },
): string {
  const [source = '', target = '', type = 'none', options = '', ...rest] = splitFields(value);
  return [
    changed.source === undefined ? source : escapeBlanks(changed.source),
    changed.target === undefined ? target : escapeBlanks(changed.target),
    changed.type ?? type,
    (changed.options === undefined ? options : escapeBlanks([...changed.options].join(','))) || 'defaults',
    ...rest,
  ].join(' ');
}

/** Of Pantavisor's LXC alone: a folder that is to be mounted is made where it is not there. Any other takes it for one of the file system's. */
export const MAKES_SOURCE = 'origin=mkdir';

/** /volumes/<container>/… and /exports/<container>/… */
export interface StorageSource {
  readonly kind: 'volumes' | 'exports';
  readonly container: string;
  /** Below that; of volumes, the first names one. */
  readonly parts: readonly string[];
}

/** Undefined for every other source, and for one with two dots, which would lead out of the container's own. */
export function storageSource(source: string): StorageSource | undefined {
  const [before, kind, container = '', ...rest] = source.split('/');
  if (before !== '' || (kind !== 'volumes' && kind !== 'exports')) return undefined;
  if (!CONTAINER_NAME.test(container) || rest.includes('..')) return undefined;
  return { kind, container, parts: rest.filter((part) => part !== '' && part !== '.') };
}
