// Paths inside a container as its own processes see them: links are followed within its root, never out of it.
import { closeSync, constants, lstatSync, openSync, readlinkSync, type Stats } from 'node:fs';
import { join } from 'node:path';

/** As the kernel's (path_resolution(7)). */
const MAX_LINKS = 40;
/** Only a place, not its content (open(2)); Node does not name it. */
const O_PATH = 0o10000000;

export interface Found {
  readonly path: string;
  readonly stats: Stats;
}

/** `layers`: the uppermost first. What the uppermost layer that has it holds at `inside`, itself not followed. */
export function findInside(layers: readonly string[], inside: string): Found | undefined {
  for (const layer of layers) {
    const path = join(layer, inside);
    const stats = lstatSync(path, { throwIfNoEntry: false });
    if (stats !== undefined) return { path, stats };
  }
  return undefined;
}

/** Where `inside` leads, relative to the root and without links; parts that do not exist stay as they are. Throws on too many links. */
export function resolveInside(layers: readonly string[], inside: string): string {
  const left = partsOf(inside);
  let resolved: string[] = [];
  for (let links = 0; left.length > 0; ) {
    const part = left.shift() ?? '';
    if (part === '..') {
      resolved.pop();
      continue;
    }
    const here = [...resolved, part].join('/');
    const found = findInside(layers, here);
    if (found?.stats.isSymbolicLink() !== true) {
      resolved.push(part);
      continue;
    }
    links += 1;
    if (links > MAX_LINKS) throw new Error(`${inside} leads through more than ${MAX_LINKS} symbolic links`);
    const target = readlinkSync(found.path);
    if (target.startsWith('/')) resolved = [];
    left.unshift(...partsOf(target));
  }
  return resolved.join('/');
}

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}

/**
 * Opens `inside` part by part, none of them a link, so that nobody who writes there meanwhile can lead out of `root`; calls `use` with
 * a path to it that cannot change. Throws what the system says, ELOOP for a link.
 */
export function usingInside<T>(root: string, inside: string, use: (path: string) => T): T {
  let fd = openSync(root, O_PATH | constants.O_DIRECTORY);
  try {
    for (const part of partsOf(inside)) {
      const next = openSync(`/proc/self/fd/${fd}/${part}`, O_PATH | constants.O_NOFOLLOW);
      closeSync(fd);
      fd = next;
    }
    return use(`/proc/self/fd/${fd}`);
  } finally {
    closeSync(fd);
  }
}
