// Mounts with their numbers, of any process, from /proc/<pid>/mountinfo (proc(5)): what a place is in, and where the host has the same.
import { closeSync, openSync, readSync } from 'node:fs';
import { unescapePath } from '../../shared/kernel/mount-words.ts';
import { textIfThere } from '../../shared/kernel/text-if-there.ts';

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

/** Of a container, which may make a hundred thousand (fs.mount-max), and whose table is read once a second for each file that is looked for. */
const MAX_TABLE_BYTES = 1024 * 1024;
/** Of all containers: what is read is taken apart before the next read. Most of it is never touched. */
const table = Buffer.allocUnsafeSlow(MAX_TABLE_BYTES + 1);

/** `process`: a pid or `self`. Undefined: there is no such process. Throws where another process has too many. */
export function readNumberedMounts(process: number | 'self'): NumberedMount[] | undefined {
  const text = process === 'self' ? textIfThere('/proc/self/mountinfo') : boundedTable(process);
  return text === undefined || text === '' ? undefined : parseNumberedMounts(text);
}

function boundedTable(pid: number): string | undefined {
  let file: number | undefined;
  try {
    file = openSync(`/proc/${pid}/mountinfo`, 'r');
    // The kernel gives as many lines at a time as it likes.
    for (let length = 0; length < table.length; ) {
      const read = readSync(file, table, { offset: length });
      if (read === 0) return table.toString('utf8', 0, length);
      length += read;
    }
  } catch {
    return undefined;
  } finally {
    if (file !== undefined) closeSync(file);
  }
  throw new Error(`it has more mounts than are looked through, ${MAX_TABLE_BYTES / 1024} KiB of them`);
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
