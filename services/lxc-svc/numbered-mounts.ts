// Mounts with their numbers, of any process, from /proc/<pid>/mountinfo (proc(5)): what a place is in, and where the host has the same.
import { readFileSync } from 'node:fs';
import { unescapePath } from '../../shared/kernel/mount-words.ts';

export interface NumberedMount {
  readonly id: number;
  /** The mount that it is mounted on. */
  readonly parent: number;
  /** Of its file system: `8:1`. */
  readonly device: string;
  /** The path in its file system that is mounted. */
  readonly root: string;
  /** As that process sees it. */
  readonly target: string;
  readonly type: string;
}

/** Lines of another shape are passed over. */
export function parseNumberedMounts(text: string): NumberedMount[] {
  return text.split('\n').flatMap((line) => {
    const [id, parent, device, root, target] = line.split(' ', 5);
    if (device === undefined || root === undefined || target === undefined) return [];
    const typeAt = line.indexOf(' - ') + 3;
    const type = line.slice(typeAt, line.indexOf(' ', typeAt));
    const [mountedPath, seenPath] = [unescapePath(root), unescapePath(target)];
    return [{ id: Number(id), parent: Number(parent), device, root: mountedPath, target: seenPath, type }];
  });
}

/** `process`: a pid or `self`. Undefined: there is no such process. */
export function readNumberedMounts(process: number | 'self'): NumberedMount[] | undefined {
  try {
    return parseNumberedMounts(readFileSync(`/proc/${process}/mountinfo`, 'utf8'));
  } catch {
    return undefined;
  }
}

/** What is mounted uppermost at `parts` of a root, or nearest above it. */
export function mountAt(
  mounts: readonly NumberedMount[],
  root: NumberedMount,
  parts: readonly string[],
): NumberedMount {
  let mount = root;
  for (let depth = 1; depth <= parts.length; depth++) {
    const path = `/${parts.slice(0, depth).join('/')}`;
    for (;;) {
      const upper = mounts.find(({ parent, target }) => parent === mount.id && target === path);
      if (upper === undefined) break;
      mount = upper;
    }
  }
  return mount;
}

/** Of the host's mounts the one that has all of `mount`, and least beside it. */
export function sameOfHost(mount: NumberedMount, host: readonly NumberedMount[]): NumberedMount | undefined {
  const [nearest] = host
    .filter(({ device, root }) => device === mount.device && isWithin(mount.root, root))
    .sort((a, b) => b.root.length - a.root.length);
  return nearest;
}

function isWithin(path: string, folder: string): boolean {
  return folder === '/' || path === folder || path.startsWith(`${folder}/`);
}
