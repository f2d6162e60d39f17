// Mount entries of overlays that have volumes as layers, as the packager writes them for `--volume ovl:<path>`: `lowerdir=`, `upperdir=` and
// `workdir=` name /volumes/<container>/… as sources do. In: the fields of an entry. Out: these layers, or what keeps them from being one. Pure.
import { type fieldsOf, type StorageSource, storageSource } from './mount-entries.ts';

type Fields = ReturnType<typeof fieldsOf>;

/** `root`: a path in the container's own root, which is written as one where LXC mounts it. `host`: any other one. */
type Lower =
  | StorageSource
  | { readonly kind: 'root'; readonly parts: readonly string[] }
  | { readonly kind: 'host'; readonly parts: readonly string[] };

export interface OverlayEntry {
  readonly ok: true;
  /** The uppermost first; at least one. As written, and read. */
  readonly lowers: readonly { readonly path: string; readonly source: Lower }[];
  /** Undefined: nobody writes to it. Two folders of a volume of the container's own, neither of them in the other. */
  readonly writable: { readonly volume: string; readonly upper: string; readonly work: string } | undefined;
  /** Of the overlay (overlayfs.rst), but for its layers. */
  readonly layering: readonly string[];
  /** All others. */
  readonly options: readonly string[];
}
export type ReadOverlay = OverlayEntry | { readonly ok: false; readonly reason: string };

/** Where LXC is built to mount roots (lxc.container.conf(5), lxc.rootfs.mount): Pantavisor's, and that of distributions. */
const LXC_ROOT = /^\/usr\/lib(?:64)?(?:\/[^/]+)?\/lxc\/rootfs(?=\/|$)/;
const LAYER = /^(lowerdir|upperdir|workdir)=(.*)$/s;
const LAYERING =
  /^(?:(?:redirect_dir|index|uuid|nfs_export|metacopy|xino|verity|fsync)=.*|volatile|userxattr|default_permissions)$/s;

/** Undefined: it is no overlay, or one that LXC can mount as it is written, as none of its layers is in a volume or an export. */
export function readOverlay({ type, options }: Fields, container: string): ReadOverlay | undefined {
  if (type !== 'overlay' && type !== 'overlayfs') return undefined;
  const written = [...options];
  const layers = new Map(written.flatMap((option) => layerOf(option)));
  const lowers = (layers.get('lowerdir') ?? '').split(/:+(?=\/)/).filter((path) => path !== '');
  const [upper, work] = [layers.get('upperdir'), layers.get('workdir')];
  const paths = [...lowers, ...[upper, work].filter((path) => path !== undefined)];
  if (!paths.some((path) => /^\/+(?:volumes|exports)\//.test(path))) return undefined;
  const read = lowers.flatMap((path) => {
    const source = lowerOf(path);
    return source === undefined ? [] : [{ path, source }];
  });
  const wrong = lowers.find((path) => lowerOf(path) === undefined);
  if (wrong !== undefined) return refused(`lowerdir ${wrong} is no path: write /volumes/<container>/<volume>/<folder>`);
  if (read.length === 0) return refused('an overlay has a lowerdir');
  const writable = upper === undefined && work === undefined ? undefined : writableOf(upper, work, container);
  if (typeof writable === 'string') return refused(writable);
  return {
    ok: true,
    lowers: read,
    writable,
    layering: written.filter((option) => LAYERING.test(option)),
    options: written.filter((option) => !LAYERING.test(option) && !LAYER.test(option)),
  };
}

/** Volumes of the container's own that are layers of it. */
export function volumesOf(overlay: ReadOverlay | undefined, container: string): readonly string[] {
  if (overlay?.ok !== true) return [];
  const { lowers, writable } = overlay;
  const read = lowers.flatMap(({ source }) => {
    const isOwn = source.kind === 'volumes' && source.container === container;
    return isOwn ? source.parts.slice(0, 1) : [];
  });
  return writable === undefined ? read : [...read, writable.volume];
}

function refused(reason: string): ReadOverlay {
  return { ok: false, reason };
}

/** Undefined: it has two dots, or is of no container. */
function lowerOf(path: string): Lower | undefined {
  const source = storageSource(path);
  if (source !== undefined) return source;
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (!path.startsWith('/') || parts.includes('..') || /^(?:volumes|exports)$/.test(parts[0] ?? '')) return undefined;
  const [root] = LXC_ROOT.exec(`/${parts.join('/')}`) ?? [];
  return root === undefined
    ? { kind: 'host', parts }
    : { kind: 'root', parts: parts.slice(root.split('/').length - 1) };
}

function layerOf(option: string): [name: string, path: string][] {
  const [, name, path] = LAYER.exec(option) ?? [];
  return name === undefined || path === undefined ? [] : [[name, path]];
}

/** The kernel wants both in one mount, and apart (overlayfs.rst). A text: why it cannot be. */
function writableOf(
  upperdir: string | undefined,
  workdir: string | undefined,
  container: string,
): OverlayEntry['writable'] | string {
  if (upperdir === undefined || workdir === undefined) return 'an overlay has both upperdir and workdir, or neither';
  const [upper, work] = [ownFolder(upperdir, container), ownFolder(workdir, container)];
  const home = `/volumes/${container}/<volume>/`;
  if (upper === undefined) return `upperdir ${upperdir} is no folder in a volume of '${container}': write ${home}upper`;
  if (work === undefined) return `workdir ${workdir} is no folder in a volume of '${container}': write ${home}work`;
  if (upper.volume !== work.volume) return `upperdir and workdir are in two volumes: write both in one`;
  const isIn = (a: string, b: string): boolean => `${a}/`.startsWith(`${b}/`);
  if (isIn(upper.inside, work.inside) || isIn(work.inside, upper.inside)) {
    return `one of ${upperdir} and ${workdir} is in the other: part them`;
  }
  return { volume: upper.volume, upper: upper.inside, work: work.inside };
}

/** Undefined: it is no folder below a volume of the container's own. */
function ownFolder(path: string, container: string): { readonly volume: string; readonly inside: string } | undefined {
  const source = storageSource(path);
  if (source?.kind !== 'volumes' || source.container !== container) return undefined;
  const [volume, ...inside] = source.parts;
  return volume === undefined || inside.length === 0 ? undefined : { volume, inside: inside.join('/') };
}
