// Mount entries of overlays of volumes, which LXC is given as binds of what Berth mounts from these layers (overlay-sources.ts). Pure.
import { fieldsOf, withFields } from '../../shared/lxc-config/mount-entries.ts';
import { type OverlayEntry, readOverlay, volumesOf } from '../../shared/lxc-config/overlay-entries.ts';
import { type ConfigLine, type ConfigPart, type ConfigSettings, placeOf } from './config-draft.ts';
import type { OverlaySource } from './overlay-sources.ts';
import { forbids } from './remounted-binds.ts';
import { placeIn } from './volume-mounts.ts';

/** Throws an error that names the line which cannot be, or is of a volume that the container does not have. */
export const overlayMounts: ConfigPart = (draft, settings) => {
  const { container, sourcesFolder } = settings;
  const sources: OverlaySource[] = [];
  const notes: string[] = [];
  const withPlace = (entry: ConfigLine): readonly ConfigLine[] => {
    const fields = fieldsOf(entry.value);
    const overlay = readOverlay(fields, container);
    if (overlay === undefined) return [entry];
    const isOptional = fields.options.has('optional');
    const missing = volumesOf(overlay, container).find((volume) => !settings.volumes.has(volume));
    if (!overlay.ok || missing !== undefined) {
      const reason = overlay.ok ? `${container} has no volume '${missing}'` : overlay.reason;
      if (!isOptional) throw new Error(`${placeOf(entry)} ${reason}`);
      notes.push(`${placeOf(entry)} ${reason}; left out`);
      return [];
    }
    const place = `${sourcesFolder}/${draft.sources.length + sources.length}`;
    sources.push({ ...layersOf(overlay, settings), place, device: fields.source, isOptional });
    notes.push(`${placeOf(entry)} /${fields.target} is an overlay that Berth mounts`);
    const options = ['bind', ...(forbids(overlay.options) ? ['remount'] : []), ...overlay.options];
    return [{ ...entry, value: withFields(entry.value, { source: place, type: 'none', options }) }];
  };
  const entries = draft.entries.flatMap((entry) => (entry.key === 'lxc.mount.entry' ? withPlace(entry) : [entry]));
  return { entries, sources: [...draft.sources, ...sources], notes: [...draft.notes, ...notes] };
};

function layersOf(
  { lowers, writable, layering }: OverlayEntry,
  { container, rootfs, storageRoots }: ConfigSettings,
): Pick<OverlaySource, 'name' | 'lowers' | 'writable' | 'layering'> {
  const name = lowers.map(({ path }) => path).join(':');
  const places = lowers.map(({ source }) => {
    if (source.kind === 'host') return { root: '/', inside: source.parts.join('/'), isHosts: true };
    if (source.kind === 'root') return { root: rootfs, inside: source.parts.join('/'), isHosts: false };
    const { root, inside } = placeIn(source, storageRoots);
    return { root, inside, isHosts: false };
  });
  if (writable === undefined) return { name, lowers: places, writable, layering };
  const { volume, upper, work } = writable;
  const { root } = placeIn({ kind: 'volumes', container, parts: [volume] }, storageRoots);
  return { name, lowers: places, writable: { root, upper, work }, layering };
}
