// The control groups that containers leave: LXC makes them, and nobody is left to remove them when a sandbox is killed.
import { existsSync, readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { cgroupPrefix, treeOf } from '../../services/lxc-svc/tree-name.ts';

const ROOT = '/sys/fs/cgroup';
/** Controller, LXC's or our folder, container, and what its init made. */
const MAX_DEPTH = 6;

/** The groups of the tree on this rundir, parents before children; none when there never was one. */
export function cgroupsOf(rundir: string): readonly string[] {
  if (!existsSync(rundir)) return [];
  const prefix = cgroupPrefix(treeOf(rundir));
  return listCgroups(ROOT, 0).filter((path) => path.split('/').some((part) => part.startsWith(prefix)));
}

/** Every group of every hierarchy, parents before children. */
function listCgroups(folder: string, depth: number): readonly string[] {
  if (depth > MAX_DEPTH) return [];
  const below = foldersOf(folder).map((name) => join(folder, name));
  return below.flatMap((path) => [path, ...listCgroups(path, depth + 1)]);
}

function foldersOf(path: string): readonly string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name);
  } catch {
    // Gone meanwhile, or no control groups on this machine.
    return [];
  }
}

/** Takes the groups away, children first; those that hold a process stay. */
export function removeCgroups(paths: readonly string[]): void {
  for (const path of [...paths].reverse()) {
    try {
      rmdirSync(path);
    } catch {
      // In use, or gone meanwhile.
    }
  }
}
