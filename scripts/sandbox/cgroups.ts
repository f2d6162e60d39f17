// The control groups that containers leave: LXC makes them, and nobody is left to remove them when a sandbox is killed.
import { readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = '/sys/fs/cgroup';
/** Controller, LXC's or our folder, container, and what its init made. */
const MAX_DEPTH = 6;

/** Every group of every hierarchy, parents before children. */
export function listCgroups(folder = ROOT, depth = 0): readonly string[] {
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
