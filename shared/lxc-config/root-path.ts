// `lxc.rootfs.path` as packagers write it: `overlayfs:` and read-only volumes, the uppermost first, then the container's writable layer. The
// volumes are its own; those of an extension (`pvr app add --base`) lie over volumes of the container that it extends. Pure.
import { CONTAINER_NAME } from '../schema/names.ts';
import type { LxcEntry } from './entry.ts';

/** A read-only volume: a file in a container's folder. */
export interface RootLayer {
  readonly container: string;
  readonly file: string;
}

export type RootPath =
  /** The uppermost first; at least one, and none twice. */
  { readonly ok: true; readonly layers: readonly RootLayer[] } | { readonly ok: false; readonly reason: string };

const FILE = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,254}$/;
const WRITABLE = /^\/volumes\/[^/]+\/lxc-overlay(?:\/|$)/;
/** All layers are options of one mount, where their paths are longer than here, and mount(2) takes a page of these with a NUL at its end. */
const MAX_CHARACTERS = 4095;

/** Without a backend's name, or with `dir:`, it is one volume; Berth puts a writable layer over that as well. */
export function readRootPath(value: string, container: string): RootPath {
  const home = `/volumes/${container}`;
  const expected = `write overlayfs:${home}/<volume>:${home}/lxc-overlay/upper, or remove the line`;
  const refused = (reason: string): RootPath => ({ ok: false, reason });
  const [, backend = '', paths = ''] = /^(?:([a-z]+):)?(\/.*)$/.exec(value) ?? [];
  const parts = paths.split(/:(?=\/)/).map((part) => part.replace(/(?<!\/)\/+$/, ''));
  if (paths === '' || !['', 'dir', 'overlay', 'overlayfs'].includes(backend)) {
    return refused(`'${value}' is no stack of volumes; ${expected}`);
  }
  const isOverlay = backend.startsWith('overlay');
  if (isOverlay ? parts.length < 2 : parts.length > 1) {
    return refused(`'${value}' has ${isOverlay ? 'no writable layer' : 'several layers'}; ${expected}`);
  }
  if (isOverlay && parts.pop() !== `${home}/lxc-overlay/upper`) {
    return refused(`'${value}' does not end in ${home}/lxc-overlay/upper, its writable layer; ${expected}`);
  }
  const layers: RootLayer[] = [];
  const seen = new Set<string>();
  for (const part of parts) {
    if (WRITABLE.test(part)) return refused(`'${part}' is a writable layer, and only the last one may be; ${expected}`);
    const layer = layerOf(part);
    if (layer === undefined)
      return refused(`'${part}' is no volume, which is /volumes/<container>/<volume>; ${expected}`);
    if (seen.has(part)) return refused(`names ${part} twice; remove one of them`);
    seen.add(part);
    layers.push(layer);
  }
  if (value.length > MAX_CHARACTERS) {
    return refused(`has ${value.length} characters, and the kernel takes ${MAX_CHARACTERS}; make it of fewer volumes`);
  }
  return { ok: true, layers };
}

function layerOf(path: string): RootLayer | undefined {
  const [before, volumes, container = '', file = '', ...more] = path.split('/');
  const isVolume = before === '' && volumes === 'volumes' && more.length === 0;
  return isVolume && CONTAINER_NAME.test(container) && FILE.test(file) ? { container, file } : undefined;
}

/** What a container's root is made of, the uppermost first, as the last line that says something of it; without one its root volume alone. */
export function rootLayers(
  entries: readonly Pick<LxcEntry, 'key' | 'value'>[],
  container: string,
  rootVolume: string,
): readonly RootLayer[] {
  const root = readRootPath(entries.findLast(({ key }) => key === 'lxc.rootfs.path')?.value ?? '', container);
  return root.ok ? root.layers : [{ container, file: rootVolume }];
}

/** Those of them that are other containers'. */
export function basesOf(layers: readonly RootLayer[], container: string): readonly RootLayer[] {
  return layers.filter((layer) => layer.container !== container);
}
