// `lxc.rootfs.path` as packagers write it: `overlayfs:` and the container's own volumes, the uppermost first, then its writable layer. Pure.
import type { LxcEntry } from './parse.ts';

export type RootPath =
  /** File names of volumes in the container's folder, the uppermost first; at least one. */
  { readonly ok: true; readonly layers: readonly string[] } | { readonly ok: false; readonly reason: string };

const FILE = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,254}$/;

/** Without a backend's name, or with `dir:`, it is one volume; Berth puts a writable layer over that as well. */
export function readRootPath(value: string, container: string): RootPath {
  const [, backend = '', paths = ''] = /^(?:([a-z]+):)?(\/.*)$/.exec(value) ?? [];
  const parts = paths.split(/:(?=\/)/).map((part) => part.replace(/(?<!\/)\/+$/, ''));
  const home = `/volumes/${container}`;
  const expected = `write overlayfs:${home}/<volume>:${home}/lxc-overlay/upper, or remove the line`;
  if (paths === '' || !['', 'dir', 'overlay', 'overlayfs'].includes(backend)) {
    return { ok: false, reason: `'${value}' is no stack of volumes; ${expected}` };
  }
  const isOverlay = backend.startsWith('overlay');
  if (isOverlay ? parts.length < 2 : parts.length > 1) {
    return { ok: false, reason: `'${value}' has ${isOverlay ? 'no writable layer' : 'several layers'}; ${expected}` };
  }
  if (isOverlay && parts.pop() !== `${home}/lxc-overlay/upper`) {
    return {
      ok: false,
      reason: `'${value}' does not end in ${home}/lxc-overlay/upper, its writable layer; ${expected}`,
    };
  }
  const layers = parts.map((part) => (part.startsWith(`${home}/`) ? part.slice(home.length + 1) : ''));
  const foreign = layers.findIndex((layer) => !FILE.test(layer));
  if (foreign !== -1) {
    return {
      ok: false,
      reason: `'${parts[foreign]}' is no volume of '${container}', those are ${home}/<volume>; ${expected}`,
    };
  }
  const seen = new Set<string>();
  const twice = layers.find((layer) => seen.size === seen.add(layer).size);
  if (twice !== undefined) return { ok: false, reason: `names ${twice} twice; remove one of them` };
  return { ok: true, layers };
}

/** Volumes of a container's root, the uppermost first, as the last line that says something of it; without one its root volume alone. */
export function rootLayers(
  entries: readonly Pick<LxcEntry, 'key' | 'value'>[],
  container: string,
  rootVolume: string,
): readonly string[] {
  const root = readRootPath(entries.findLast(({ key }) => key === 'lxc.rootfs.path')?.value ?? '', container);
  return root.ok ? root.layers : [rootVolume];
}
