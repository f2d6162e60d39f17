// What a container keeps, mounts and shares: `volumes`, `storage` and `exports` of its run.json, with the disks under them. Pure.
import { fieldsOf, storageSource } from '../lxc-config/mount-entries.ts';
import type { LxcEntry } from '../lxc-config/parse.ts';
import { type Disk, insidePath, type NamedVolume, volumeName } from '../schema/storage.ts';
import type { Device } from './device-document.ts';
import type { Problem, StoragePlan } from './revision.ts';
import type { RunDocument } from './run-document.ts';
import { shown } from './schema-problems.ts';
import { checkVolumes, persistenceOf, volumeWarnings } from './volume-rules.ts';

/** The writable layer over the root filesystem. */
const OVERLAY = 'lxc-overlay';

export interface PlannedStorage {
  readonly plan: StoragePlan;
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
}

/**
 * `entries`: of its LXC configuration. Codes: BAD_VALUE, UNKNOWN_DISK, DISK_IS_SWAP, VOLUME_CONFLICT; warnings VOLUME_UNDECLARED,
 * NOT_SUPPORTED.
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
  const problems = [
    ...checkVolumes(run.storage ?? {}, `${path}.storage`, `of '${container}'`, device),
    ...conflicts(path, run, [root, ...squashfs]),
    ...badExports(path, run),
  ];
  const declared = { [OVERLAY]: {}, ...run.storage };
  const undeclared = undeclaredVolumes(container, entries, new Set([root, ...squashfs, ...Object.keys(declared)]));
  const added = undeclared.filter(({ isKept }) => isKept).map(({ volume }): [string, Written] => [volume, {}]);
  const storage = { ...declared, ...Object.fromEntries(added) };
  const volumes = Object.entries(storage).map(([name, written]) => namedVolume(name, written, device));
  const plan = { squashfs, volumes, disks: disksOf(volumes, device), exports: (run.exports ?? []).map(relative) };
  const unnamed = undeclared.map(({ volume, entry: { source, line }, isKept }) => ({
    path: `${source}:${line}`,
    code: 'VOLUME_UNDECLARED',
    message: isKept
      ? `mounts volume '${volume}', which 'storage' in run.json does not name; it is kept for good, as 'permanent'`
      : `mounts volume ${shown(volume)}, and none can have this name: 1–255 printable ASCII characters; it is not there`,
  }));
  return { plan, problems, warnings: [...volumeWarnings(run.storage ?? {}, `${path}.storage`), ...unnamed] };
}

/** The first line that mounts each volume of the container's which is not `known`, as lxc-svc reads it. */
function undeclaredVolumes(container: string, entries: readonly LxcEntry[], known: ReadonlySet<string>) {
  const found = new Map<string, LxcEntry>();
  for (const entry of entries) {
    const source = entry.key === 'lxc.mount.entry' ? storageSource(fieldsOf(entry.value).source) : undefined;
    if (source?.kind !== 'volumes' || source.container !== container) continue;
    const [volume] = source.parts;
    if (volume !== undefined && !known.has(volume) && !found.has(volume)) found.set(volume, entry);
  }
  return [...found].map(([volume, entry]) => ({ volume, entry, isKept: volumeName.safeParse(volume).success }));
}

export function withoutVerity(volume: string): string {
  return volume.replace(/^dm:/, '');
}

type Written = NonNullable<RunDocument['storage']>[string];

/** What nobody says how to keep is kept, except the writable layer, which starts afresh as stock packagers have it. */
function namedVolume(name: string, { persistence, disk }: Written, device: Device): NamedVolume {
  const kept = persistenceOf(persistence ?? (name === OVERLAY ? 'boot' : 'permanent'));
  const on = kept === 'boot' ? undefined : (disk ?? device.defaultDisk);
  return { name, persistence: kept, ...(on === undefined ? {} : { disk: on }) };
}

/** Swap is everybody's: it is on as long as anybody is mounted. */
function disksOf(volumes: readonly NamedVolume[], device: Device): readonly Disk[] {
  const used = new Set(volumes.flatMap(({ disk }) => disk ?? []));
  return device.disks.map(({ disk }) => disk).filter(({ name, kind }) => kind === 'swap' || used.has(name));
}

/** Both would be at /volumes/<container>/<name>. */
function conflicts(path: string, run: RunDocument, files: readonly string[]): readonly Problem[] {
  const names = Object.keys(run.storage ?? {}).filter((name) => files.includes(name));
  return names.map((name) => ({
    path: `${path}.storage.${name}`,
    code: 'VOLUME_CONFLICT',
    message: `volume '${name}' has the name of a file of 'volumes' or 'root-volume'; rename one of them`,
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
