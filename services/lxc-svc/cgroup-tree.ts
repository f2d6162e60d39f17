// The control groups of containers on this host: what the kernel offers, and removal of what LXC left behind.
import { existsSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { textIfThere } from '../../shared/kernel/text-if-there.ts';
import { type Mount, readMountTable } from './mount-table.ts';

/** Controllers by name; `devices` of version 2 is a BPF program, no controller of its own, and is there where LXC would use it. */
export interface CgroupSupport {
  readonly v1: ReadonlySet<string>;
  readonly v2: ReadonlySet<string>;
}

interface Hierarchy {
  readonly folder: string;
  readonly version: 1 | 2;
  /** As /proc/<pid>/cgroup names them. */
  readonly controllers: readonly string[];
}

/** Options of a version 1 mount that are no controllers (cgroups(7)). */
const NO_CONTROLLERS = /^(?:rw|ro|xattr|noprefix|clone_children|release_agent=.*|)$/;

function hierarchies(mounts: readonly Mount[]): Hierarchy[] {
  return mounts.flatMap(({ target, type, superOptions }): Hierarchy[] => {
    if (type === 'cgroup2') return [{ folder: target, version: 2, controllers: [''] }];
    if (type !== 'cgroup') return [];
    return [{ folder: target, version: 1, controllers: superOptions.filter((name) => !NO_CONTROLLERS.test(name)) }];
  });
}

export function cgroupSupport(mounts: readonly Mount[] = readMountTable()): CgroupSupport {
  const all = hierarchies(mounts);
  const v1 = all.filter(({ version }) => version === 1).flatMap(({ controllers }) => controllers);
  const v2 = all
    .filter(({ version }) => version === 2)
    .flatMap(({ folder }) => ['cgroup', ...textIfThere(join(folder, 'cgroup.controllers')).trim().split(/\s+/)]);
  // LXC attaches the program that filters devices only where nothing of version 1 is mounted (src/lxc/cgroups/cgfsng.c).
  if (all.every(({ version }) => version === 2) && v2.length > 0) v2.push('devices');
  return { v1: new Set(v1), v2: new Set(v2) };
}

/** Hierarchies are mounted long before containers run: looked at once. */
export function cgroupSupportOnce(): () => CgroupSupport {
  let found: CgroupSupport | undefined;
  return () => {
    if (found === undefined || found.v1.size + found.v2.size === 0) found = cgroupSupport();
    return found;
  };
}

interface Membership {
  readonly controllers: readonly string[];
  readonly path: string;
}

function membershipsOf(pids: readonly (number | 'self')[]): Membership[] {
  const lines = pids.flatMap((pid) => textIfThere(`/proc/${pid}/cgroup`).split('\n'));
  return lines.flatMap((line) => {
    const [, names, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (names === undefined || path === undefined || path.includes('/..')) return [];
    return [{ controllers: names.split(','), path }];
  });
}

/** Where LXC makes groups: below those of pid 1, or of whoever called it (cgroups/cgfsng.c). */
function memberships(): Membership[] {
  return membershipsOf([1, 'self']).map((group) => ({ ...group, path: group.path.replace(/\/init\.scope$/, '') }));
}

/** The folders of the groups that this process is in, one of each hierarchy that is mounted. */
export function ownGroups(): readonly string[] {
  const own = membershipsOf(['self']);
  return hierarchies(readMountTable()).flatMap(({ folder, controllers }) => {
    const group = own.find((each) => each.controllers.some((name) => controllers.includes(name)));
    return group === undefined ? [] : [join(folder, group.path)];
  });
}

function basesOf({ folder, controllers }: Hierarchy, groups: readonly Membership[]): string[] {
  const own = groups.filter((group) => group.controllers.some((name) => controllers.includes(name)));
  return [...new Set(['/', ...own.map(({ path }) => path)])].map((path) => join(folder, path));
}

/** Folders in which LXC makes groups, one or two a hierarchy. */
function cgroupBases(mounts: readonly Mount[]): readonly string[] {
  const groups = memberships();
  // A hierarchy may be mounted in several places.
  return [...new Set(hierarchies(mounts).flatMap((hierarchy) => basesOf(hierarchy, groups)))];
}

/**
 * Removes the groups below `name` in every hierarchy, children first; LXC leaves some behind at each end, and all of them when
 * its monitor is killed. No process may be left in them. Groups that are in use stay; answers them.
 */
export type RemoveCgroups = (name: string) => string[];

/** Where groups are is looked up once: hierarchies are mounted long before containers run, and a look costs a read of every mount. */
export function cgroupRemover(): RemoveCgroups {
  let bases: readonly string[] = [];
  return (name) => {
    if (bases.length === 0) bases = cgroupBases(readMountTable());
    return bases.map((base) => join(base, name)).flatMap(removeTree);
  };
}

/**
 * Thaws whatever a container has frozen in its groups, itself or a container in it: with version 1 nobody who is frozen dies, whatever the
 * signal (kernel: freezer-subsystem.rst). Those above come first, as who is below one that is frozen is frozen, too.
 */
export function cgroupThawer(): (name: string) => void {
  let bases: readonly string[] = [];
  return (name) => {
    if (bases.length === 0) bases = cgroupBases(readMountTable());
    for (const group of bases.map((base) => join(base, name))) if (existsSync(join(group, FREEZER))) thawTree(group);
  };
}

/** Version 2 has another one, in which SIGKILL is heard. */
const FREEZER = 'freezer.state';

function thawTree(folder: string): void {
  try {
    writeFileSync(join(folder, FREEZER), 'THAWED', { flag: 'r+' });
    for (const below of foldersIn(folder)) thawTree(below);
  } catch {
    // It has gone meanwhile, as most do.
  }
}

function foldersIn(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(folder, entry.name));
}

/** Pids in groups that removeCgroups answered; those of other pid namespaces, which read as 0, are left out. */
export function processesIn(folders: readonly string[]): number[] {
  const pids = folders.flatMap((folder) => textIfThere(join(folder, 'cgroup.procs')).split('\n').map(Number));
  return [...new Set(pids)].filter((pid) => pid > 1);
}

/** What LXC leaves at the end of a run (cgroups/cgfsng.c): without a look at the twenty files of the kernel's in each. False: there is more. */
function removeUsual(folder: string): boolean {
  try {
    const pivot = join(folder, 'lxc.pivot');
    if (existsSync(pivot)) rmdirSync(pivot);
    rmdirSync(folder);
    return true;
  } catch {
    return false;
  }
}

function removeTree(folder: string): string[] {
  // As most are not: an error costs more than the look.
  if (!existsSync(folder)) return [];
  if (removeUsual(folder)) return [];
  let below: string[];
  try {
    below = foldersIn(folder);
  } catch {
    return [];
  }
  const left = below.flatMap(removeTree);
  try {
    rmdirSync(folder);
    return left;
  } catch {
    return [...left, folder];
  }
}
