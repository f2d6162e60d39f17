// Which modules a driver is on this board, with which options. Pure.
import type { Board, KernelModule } from '../schema/drivers.ts';
import type { DriverSection } from './revision.ts';

/** A value of the metadata; undefined: there is none. */
export type ReadMeta = (kind: 'user' | 'device', key: string) => string | undefined;

/**
 * The lines of a driver, undefined when this board has none of that name. What is said for an overlay of this board counts before what is said
 * for its device tree, and that before what is said for all; within one of these all sections count, in their order.
 */
export function driverLines(
  sections: readonly DriverSection[],
  { deviceTrees, overlays }: Board,
  driver: string,
): readonly string[] | undefined {
  const trees = new Set(deviceTrees.map(plain));
  const laid = new Set(overlays.map(plain));
  const applies: readonly ((name: string) => boolean)[] = [
    (name) => name.startsWith('ovl:') && laid.has(plain(name.slice(4))),
    (name) => name === 'dtb:all' || (name.startsWith('dtb:') && trees.has(plain(name.slice(4)))),
    (name) => name === 'all',
  ];
  for (const isOfRank of applies) {
    const lists = sections.filter(({ name }) => isOfRank(name)).flatMap(({ drivers }) => [drivers.get(driver) ?? []]);
    const isNamed = sections.some(({ name, drivers }) => isOfRank(name) && drivers.has(driver));
    if (isNamed) return lists.flat();
  }
  return undefined;
}

/** All names that some section has, for whatever board. */
export function driverNames(sections: readonly DriverSection[]): ReadonlySet<string> {
  return new Set(sections.flatMap(({ drivers }) => [...drivers.keys()]));
}

/** Names that a board has, in the order of the file. */
export function boardDrivers(sections: readonly DriverSection[], board: Board): readonly string[] {
  return [...driverNames(sections)].filter((name) => driverLines(sections, board, name) !== undefined);
}

/** Boot loaders name device trees by file, with or without folder marks and ending: broadcom/bcm2711.dtb, conf-broadcom_bcm2711.dtb. */
function plain(name: string): string {
  return name
    .trim()
    .replace(/^(?:conf|fdt)[-@]/, '')
    .replace(/\.dtbo?$/, '')
    .replaceAll('/', '_')
    .toLowerCase();
}

/**
 * One line of a module list. A value may hold several options, parted by blanks; an option whose metadata has no value is left out, so
 * that the module's own default holds.
 */
export function moduleOf(line: string, meta: ReadMeta): KernelModule {
  const [name = '', ...words] = line.trim().split(/\s+/);
  const options = words.flatMap((word) => {
    let isUnset = false;
    const text = word.replace(/\$\{(user|device)-meta:([^{}]+)\}/g, (_, kind: string, key: string) => {
      const value = meta(kind === 'user' ? 'user' : 'device', key);
      isUnset ||= value === undefined || value.trim() === '';
      return value?.trim() ?? '';
    });
    return isUnset ? [] : text.split(/\s+/);
  });
  return { name, options };
}

/** The kernel takes `-` for `_` in names of modules (kmod(8)). */
export function isLoaded(name: string, loaded: ReadonlySet<string>): boolean {
  return loaded.has(name.replaceAll('-', '_'));
}
