// Volumes by name, as run.json has them for a container and device.json for the runtime itself. Pure.
import * as z from 'zod/mini';
import { persistence, volumeName } from '../schema/storage.ts';
import type { PlacedDisk, Problem } from './revision.ts';
import { shown } from './schema-problems.ts';

/**
 * What packagers write beside the three words: a path where they took `<name>:<path>:<persistence>` for a name and a persistence;
 * `built-in`, nothing, or what a template makes of nothing, where nobody said one.
 */
const STRAY = /^(?:\/.*|built-in|<no value>|)$/s;

export const volumeDocuments = z.record(
  z.string(),
  z.object({
    persistence: z.optional(
      z.string().check(
        z.refine((text) => persistence.safeParse(text).success || STRAY.test(text), {
          message: persistence.options.map((word) => `"${word}"`).join(' or '),
        }),
      ),
    ),
    disk: z.optional(z.string()),
  }),
);
type VolumeDocuments = z.output<typeof volumeDocuments>;

export interface KnownDisks {
  readonly disks: readonly PlacedDisk[];
  /** Names and aliases, each with the name of its disk; also of those that broke a rule. */
  readonly diskNames: ReadonlyMap<string, string>;
}

/** What Pantavisor's examples call the storage folder itself, also where no disk has the name. */
const BUILT_IN = 'built-in';

/**
 * The volume that a name of the list is in: itself, or, as Pantavisor makes folders of what is written as a path, the first of these,
 * which then holds the others. Undefined: it is no name.
 */
export function volumeOf(name: string): string | undefined {
  const parts = name.split('/').filter((part) => part !== '');
  return parts.every((part) => volumeName.safeParse(part).success) ? parts[0] : undefined;
}

/** Of a value that passed. What is none of the three is for the boot, as Pantavisor has it. */
export function persistenceOf(written: string): z.output<typeof persistence> {
  const read = persistence.safeParse(written);
  return read.success ? read.data : 'boot';
}

/** Of values that passed, those that are read as another. Warning NOT_SUPPORTED. */
export function volumeWarnings(written: VolumeDocuments, path: string): readonly Problem[] {
  return Object.entries(written).flatMap(([name, { persistence: said }]): Problem[] => {
    if (said === undefined || persistenceOf(said) === said) return [];
    const message = `is ${shown(said)}, which counts as "boot": nothing in it is kept; write "permanent" to keep it`;
    return [{ path: `${path}.${name}.persistence`, code: 'NOT_SUPPORTED', message }];
  });
}

/** `path`: JSON path of the list. `whose`: for messages. Codes: BAD_VALUE, UNKNOWN_DISK, DISK_IS_SWAP. */
export function checkVolumes(
  written: VolumeDocuments,
  path: string,
  whose: string,
  { disks, diskNames }: KnownDisks,
): readonly Problem[] {
  return Object.entries(written).flatMap(([name, { disk }]): Problem[] => {
    if (volumeOf(name) === undefined) {
      const rule = 'a name, or a path, of printable ASCII characters, and no part is "." or ".."';
      return [{ path: `${path}.${name}`, code: 'BAD_VALUE', message: `volume ${shown(name)}: a volume has ${rule}` }];
    }
    const own = disk === undefined ? undefined : diskNames.get(disk);
    if (disk === undefined || (own === undefined && disk === BUILT_IN)) return [];
    const what = `volume '${name}' ${whose} is on disk '${disk}'`;
    if (own === undefined) {
      const message = `${what}, which does not exist; there are: ${[...diskNames.keys()].join(', ') || 'none'}`;
      return [{ path: `${path}.${name}.disk`, code: 'UNKNOWN_DISK', message }];
    }
    const isSwap = disks.some(({ disk: each }) => each.name === own && each.kind === 'swap');
    if (!isSwap) return [];
    const message = `${what}, which is swap: no volume can live on it`;
    return [{ path: `${path}.${name}.disk`, code: 'DISK_IS_SWAP', message }];
  });
}
