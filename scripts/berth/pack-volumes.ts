// PV_PERSISTENCE, PV_VOLUMES (and PV_VOLUME_MOUNTS, the stock packager's) and PV_EXPORTS of args.json: what a container keeps, brings along and shares, as keys of run.json and as
// lines of its LXC configuration. Pure.
import * as z from 'zod/mini';
import type { Problem } from '../../shared/revision/revision.ts';
import { artifactName, diskName, insidePath, persistence, volumeName } from '../../shared/schema/storage.ts';
import { PAIRS_TEXT, pairs, pairsOf } from './pack-argument-values.ts';

const entries = z.record(z.string(), z.unknown());
const kept = z.union([persistence, z.strictObject({ persistence, disk: z.optional(diskName) })]);
/** lxc.container.conf(5) takes fstab(5) lines: a blank would be the next field. */
const target = z.string().check(z.regex(/^(?!.*\/\.{0,2}(?:\/|$))\/[A-Za-z0-9._+@:,=%~/-]+$/), z.maxLength(200));

/** Entry by entry they are judged by `volumeProblems`. */
export const volumeArguments = {
  PV_PERSISTENCE: z.optional(entries),
  PV_VOLUMES: z.optional(entries),
  PV_VOLUME_MOUNTS: z.optional(pairs),
  PV_EXPORTS: z.optional(z.union([z.array(z.string()), z.string()])),
};
export const VOLUMES_ALLOWED = {
  PV_PERSISTENCE:
    'an object: path in the container, or lxc-overlay → permanent, revision, boot, or { persistence, disk }',
  PV_VOLUMES: 'an object: path in the container → name of a folder or squashfs in volumes/',
  PV_VOLUME_MOUNTS: PAIRS_TEXT,
  PV_EXPORTS: 'a string or an array of strings: paths in the container',
};

export interface VolumeArguments {
  readonly PV_PERSISTENCE?: Readonly<Record<string, unknown>> | undefined;
  readonly PV_VOLUMES?: Readonly<Record<string, unknown>> | undefined;
  readonly PV_VOLUME_MOUNTS?: string | readonly string[] | undefined;
  readonly PV_EXPORTS?: string | readonly string[] | undefined;
}

const PATH =
  'an absolute path in the container, of A-Z a-z 0-9 . _ - + @ : , = % ~ and /, without empty, "." or ".." parts';

/** `path` names the file. Codes: BAD_VALUE, VOLUME_TWICE. */
export function volumeProblems(args: VolumeArguments, path: string): readonly Problem[] {
  const problems: Problem[] = [];
  const add = (at: string, code: string, message: string): void => {
    problems.push({ path: `${path}.${at}`, code, message });
  };
  const volumes = new Map<string, string>();
  for (const [name, value] of Object.entries(args.PV_PERSISTENCE ?? {})) {
    const at = `PV_PERSISTENCE.${name}`;
    const isPath = name.startsWith('/');
    if (isPath ? !target.safeParse(name).success : !volumeName.safeParse(name).success) {
      add(at, 'BAD_VALUE', `is kept for '${name}', which must be lxc-overlay, the name of a volume, or ${PATH}`);
    }
    if (!kept.safeParse(value).success) {
      const rule = 'permanent, revision or boot, or { "persistence": one of them, "disk": a disk of device.json }';
      add(at, 'BAD_VALUE', `is ${JSON.stringify(value)?.slice(0, 80)}; must be ${rule}`);
    }
    const volume = volumeOf(name);
    const other = volumes.get(volume);
    if (other !== undefined)
      add(at, 'VOLUME_TWICE', `is volume '${volume}', as '${other}' is; name one of them differently`);
    volumes.set(volume, name);
  }
  const places = new Set<string>();
  for (const { at, place, file } of placedVolumes(args)) {
    if (!target.safeParse(place).success) add(at, 'BAD_VALUE', `is mounted at '${place}', which must be ${PATH}`);
    if (!artifactName.safeParse(file).success) {
      add(
        at,
        'BAD_VALUE',
        `is ${JSON.stringify(file)?.slice(0, 80)}; must be the name of a folder or squashfs in volumes/`,
      );
    }
    if (args.PV_PERSISTENCE?.[place] !== undefined) {
      add(at, 'VOLUME_TWICE', `is mounted where PV_PERSISTENCE keeps a volume; one of them would hide the other`);
    }
    if (places.has(place)) add(at, 'VOLUME_TWICE', `is mounted at '${place}', as another one is; keep one of them`);
    places.add(place);
  }
  for (const each of exportsOf(args)) {
    if (insidePath.safeParse(each).success) continue;
    add('PV_EXPORTS', 'BAD_VALUE', `names '${each}'; must be paths in the container, without empty, "." or ".." parts`);
  }
  return problems;
}

/** `at`: where args.json says so. */
export function placedVolumes(args: VolumeArguments) {
  const ours = Object.entries(args.PV_VOLUMES ?? {}).map(([place, file]) => ({
    at: `PV_VOLUMES.${place}`,
    place,
    file,
  }));
  const stock = pairsOf(args.PV_VOLUME_MOUNTS).map(([file, target]) => {
    const place = `/${target.replace(/^\/+/, '')}`;
    return { at: `PV_VOLUME_MOUNTS.${file}`, place, file };
  });
  return [...ours, ...stock];
}

/** The file in the revision that a name of PV_VOLUMES means. */
export function volumeFile(name: string): string {
  return name.endsWith('.squashfs') ? name : `${name}.squashfs`;
}

/** What the stock packager calls the volume of a path: `docker--etc-foo` for /etc/foo. */
function volumeOf(name: string): string {
  return name.startsWith('/') ? `docker-${name.replaceAll('/', '-')}` : name;
}

/** `storage` of run.json; the writable layer ends with the boot where nothing is said of it. */
export function storageOf({ PV_PERSISTENCE: wanted = {} }: VolumeArguments): Readonly<Record<string, unknown>> {
  const said = Object.entries(wanted).map(([name, value]) => {
    const parsed = kept.safeParse(value);
    const how = parsed.success ? parsed.data : 'permanent';
    return [volumeOf(name), typeof how === 'string' ? { persistence: how } : how] as const;
  });
  return { 'lxc-overlay': { persistence: 'boot' }, ...Object.fromEntries(said) };
}

/** `exports` of run.json, which are relative to the root. */
export function exportsOf({ PV_EXPORTS: paths = [] }: VolumeArguments): readonly string[] {
  const list = typeof paths === 'string' ? paths.split(/[\s,]+/).filter((part) => part !== '') : paths;
  return list.map((path) => path.replace(/^\/+|\/+$/g, ''));
}

/** `lxc.mount.entry` lines, without the key; what is mounted above comes before what is below. */
export function volumeMounts(container: string, args: VolumeArguments): readonly string[] {
  const at = (volume: string): string => `/volumes/${container}/${volume}`;
  const writable = Object.keys(args.PV_PERSISTENCE ?? {}).flatMap((place) =>
    place.startsWith('/') ? [{ place, source: at(volumeOf(place)), options: 'bind,create=dir' }] : [],
  );
  const brought = placedVolumes(args).map(({ place, file }) => ({
    place,
    source: at(volumeFile(String(file))),
    options: 'bind,ro,create=dir',
  }));
  return [...writable, ...brought]
    .sort((a, b) => (a.place < b.place ? -1 : 1))
    .map(({ place, source, options }) => `${source} ${place.slice(1)} none ${options} 0 0`);
}
