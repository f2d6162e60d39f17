// What a container keeps, mounts and shares: `volumes`, `storage` and `exports` of its run.json, with the disks under them. Pure.
import { isDeepStrictEqual } from 'node:util';
import type { LxcEntry } from '../lxc-config/entry.ts';
import { fieldsOf, storageSource } from '../lxc-config/mount-entries.ts';
import { readOverlay, volumesOf } from '../lxc-config/overlay-entries.ts';
import { type Disk, insidePath, type NamedVolume, volumeName } from '../schema/storage.ts';
import type { Device } from './device-document.ts';
import type { Problem, StoragePlan } from './revision.ts';
import type { RunDocument } from './run-document.ts';
import { shown } from './schema-problems.ts';
import { checkVolumes, persistenceOf, volumeOf, volumeWarnings } from './volume-rules.ts';

/** The writable layer over the root filesystem. */
const OVERLAY = 'lxc-overlay';

export interface PlannedStorage {
  readonly plan: StoragePlan;
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
}

/**
 * `entries`: of its LXC configuration. Codes: BAD_VALUE, UNKNOWN_DISK, DISK_IS_SWAP, DISK_UNSUPPORTED, VOLUME_CONFLICT; warnings
 * VOLUME_UNDECLARED, VOLUME_UNMOUNTED, NOT_SUPPORTED.
 */
export function planStorage(
  container: string,
  run: RunDocument,
  device: Device,
  entries: readonly LxcEntry[],
): PlannedStorage {
  const path = `${container}/run.json`;
  const root = withoutVerity(run['root-volume'] ?? '');
  const squashfs = [...new Set((run.volumes ?? []).map(withoutVerity))].filter((file) => file !== root);
  const broken = [
    ...checkVolumes(run.storage ?? {}, `${path}.storage`, `of '${container}'`, device),
    ...conflicts(path, run, [root, ...squashfs]),
    ...unlike(path, run, device),
    ...badExports(path, run),
  ];
  const mounted = mountedVolumes(container, entries);
  const declared = new Map<string, Written>([[OVERLAY, {}], ...inVolumes(run)]);
  const known = new Set([root, ...squashfs, ...declared.keys()]);
  const undeclared = [...mounted]
    .filter(([volume]) => !known.has(volume))
    .map(([volume, entry]) => ({ volume, entry, isKept: volumeName.safeParse(volume).success }));
  for (const { volume, isKept } of undeclared) if (isKept) declared.set(volume, {});
  const volumes = [...declared].map(([name, written]) => namedVolume(name, written, device));
  const problems = [...broken, ...onUnsupported(container, volumes, device)];
  const plan = { squashfs, volumes, disks: disksOf(volumes, device), exports: (run.exports ?? []).map(relative) };
  const unnamed = undeclared.map(({ volume, entry: { source, line }, isKept }) => ({
    path: `${source}:${line}`,
    code: 'VOLUME_UNDECLARED',
    message: isKept
      ? `mounts volume '${volume}', which 'storage' in run.json does not name; it is kept for good, as 'permanent'`
      : `mounts volume ${shown(volume)}, and none can have this name: 1–255 printable ASCII characters; it is not there`,
  }));
  const warnings = [
    ...volumeWarnings(run.storage ?? {}, `${path}.storage`),
    ...unmounted(container, run, new Set(mounted.keys())),
    ...unnamed,
  ];
  return { plan, problems, warnings };
}

/** What `storage` names, by the volumes that it is in. */
function inVolumes({ storage = {} }: RunDocument): readonly (readonly [string, Written])[] {
  return Object.entries(storage).flatMap(([name, written]) => {
    const volume = volumeOf(name);
    return volume === undefined ? [] : [[volume, written]];
  });
}

/** A volume is one folder of one disk, or one tmpfs, whatever is named in it; and the overlay is no volume to be in. */
function unlike(path: string, { storage = {} }: RunDocument, device: Device): readonly Problem[] {
  const firsts = new Map<string, { readonly name: string; readonly kept: NamedVolume }>();
  return Object.entries(storage).flatMap(([name, written]): Problem[] => {
    const volume = volumeOf(name);
    if (volume === undefined) return [];
    const conflict = (message: string) => [{ path: `${path}.storage.${name}`, code: 'VOLUME_CONFLICT', message }];
    if (volume === OVERLAY && name !== OVERLAY) {
      return conflict(`'${name}' is in '${OVERLAY}', the layer over the root filesystem; name it otherwise`);
    }
    const kept = namedVolume(volume, written, device);
    const first = firsts.get(volume);
    if (first === undefined) firsts.set(volume, { name, kept });
    if (first === undefined || isDeepStrictEqual(first.kept, kept)) return [];
    return conflict(
      `'${name}' is in volume '${volume}', as '${first.name}' is; give both one persistence and one disk`,
    );
  });
}

/** What is written as a path looks like one of the container's, where nothing is but by a line of its LXC configuration. */
function unmounted(container: string, { storage = {} }: RunDocument, mounted: ReadonlySet<string>): readonly Problem[] {
  return Object.keys(storage)
    .filter((name) => name.includes('/') && !mounted.has(volumeOf(name) ?? ''))
    .map((name) => {
      const place = relative(name);
      const line = `lxc.mount.entry = /volumes/${container}/${place} ${place} none bind,rw,create=dir 0 0`;
      const message = `is a volume, and no place in the container, as its LXC configuration mounts none of it: add "${line}"`;
      return { path: `${container}/run.json.storage.${name}`, code: 'VOLUME_UNMOUNTED', message };
    });
}

/** The first line that mounts each volume of the container's, as lxc-svc reads it. */
function mountedVolumes(container: string, entries: readonly LxcEntry[]): ReadonlyMap<string, LxcEntry> {
  const found = new Map<string, LxcEntry>();
  for (const entry of entries) {
    if (entry.key !== 'lxc.mount.entry') continue;
    const fields = fieldsOf(entry.value);
    const source = storageSource(fields.source);
    const isOwn = source?.kind === 'volumes' && source.container === container;
    const volumes = [
      ...(isOwn ? source.parts.slice(0, 1) : []),
      ...volumesOf(readOverlay(fields, container), container),
    ];
    for (const volume of volumes) if (!found.has(volume)) found.set(volume, entry);
  }
  return found;
}

export function withoutVerity(volume: string): string {
  return volume.replace(/^dm:/, '');
}

type Written = NonNullable<RunDocument['storage']>[string];

/** What nobody says how to keep is kept, except the writable layer, which starts afresh as stock packagers have it. */
function namedVolume(name: string, { persistence, disk }: Written, device: Device): NamedVolume {
  const kept = persistenceOf(persistence ?? (name === OVERLAY ? 'boot' : 'permanent'));
  const wanted = disk === undefined ? device.defaultDisk : device.diskNames.get(disk);
  const on = kept === 'boot' ? undefined : wanted;
  return { name, persistence: kept, ...(on === undefined ? {} : { disk: on }) };
}

/** Told where the disk is written, which is where it is put right. */
function onUnsupported(container: string, volumes: readonly NamedVolume[], device: Device): readonly Problem[] {
  return volumes.flatMap(({ name, disk }): Problem[] => {
    const problem = disk === undefined ? undefined : device.unsupportedDisks.get(disk);
    if (problem === undefined) return [];
    return [{ ...problem, message: `${problem.message}; volume '${name}' of '${container}' is on disk '${disk}'` }];
  });
}

/** Swap is everybody's: it is on as long as anybody is mounted. */
function disksOf(volumes: readonly NamedVolume[], device: Device): readonly Disk[] {
  const used = new Set(volumes.flatMap(({ disk }) => disk ?? []));
  return device.disks.map(({ disk }) => disk).filter(({ name, kind }) => kind === 'swap' || used.has(name));
}

/** Both would be at /volumes/<container>/<name>. */
function conflicts(path: string, run: RunDocument, files: readonly string[]): readonly Problem[] {
  const names = Object.keys(run.storage ?? {}).filter((name) => files.includes(volumeOf(name) ?? ''));
  return names.map((name) => ({
    path: `${path}.storage.${name}`,
    code: 'VOLUME_CONFLICT',
    message: `volume '${volumeOf(name)}' has the name of a file of 'volumes' or 'root-volume'; rename one of them`,
  }));
}

/** A path inside the container may be written as it is seen there. */
function relative(path: string): string {
  return path.replace(/^\/+|(?<!\/)\/+$/g, '');
}

function badExports(path: string, { exports = [] }: RunDocument): readonly Problem[] {
  return exports.flatMap((each, index) => {
    if (insidePath.safeParse(relative(each)).success) return [];
    const message = `is ${shown(each)}; must be a path inside the container, without empty, "." or ".." parts`;
    return [{ path: `${path}.exports.${index}`, code: 'BAD_VALUE', message }];
  });
}
