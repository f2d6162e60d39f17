// What is mounted where, from /proc/self/mountinfo (proc(5)).
import { readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { escapePath, unescapePath } from '../../shared/kernel/mount-words.ts';

export interface Mount {
  readonly target: string;
  readonly type: string;
  readonly source: string;
  readonly superOptions: readonly string[];
}

/** In the order of mounting. Lines of another shape are passed over. */
export function parseMountTable(text: string): Mount[] {
  return text.split('\n').flatMap((line) => {
    const [before = '', after] = line.split(' - ', 2);
    const target = before.split(' ')[4];
    const [type = '', source = '', superOptions = ''] = (after ?? '').split(' ');
    if (target === undefined || after === undefined) return [];
    return [
      { target: unescapePath(target), type, source: unescapePath(source), superOptions: superOptions.split(',') },
    ];
  });
}

export function readMountTable(): Mount[] {
  return parseMountTable(readMountInfo());
}

/** For whoever asks for a few places only: see `isTarget`. */
export function readMountInfo(): string {
  return readFileSync('/proc/self/mountinfo', 'utf8');
}

/** Whether something is mounted there: the table has several lines of each container, and taking all of them apart costs a millisecond. */
export function isTarget(mountInfo: string, path: string): boolean {
  const wanted = ` ${escapePath(path)} `;
  for (let at = mountInfo.indexOf(wanted); at >= 0; at = mountInfo.indexOf(wanted, at + 1)) {
    // The fifth field; the one before it is a path, too.
    const before = mountInfo.slice(mountInfo.lastIndexOf('\n', at) + 1, at);
    if (before.split(' ').length === 4) return true;
  }
  return false;
}

/**
 * Whether another file system begins there, as everywhere where something is mounted but a folder of the file system around it. Two looks
 * instead of the whole table, which the kernel writes anew for each reader.
 */
export function isOtherFileSystem(path: string): boolean {
  try {
    return statSync(path).dev !== statSync(dirname(path)).dev;
  } catch {
    // Not there, or not to be looked at: the table knows.
    return false;
  }
}

/** `path`, and what is below it. */
export function mountsBelow(mounts: readonly Mount[], path: string): Mount[] {
  return mounts.filter(({ target }) => target === path || target.startsWith(`${path}/`));
}
