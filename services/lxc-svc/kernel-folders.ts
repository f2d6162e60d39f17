// Firmware and modules of the host's kernel, read-only in a container: images that are built for Pantavisor bring neither, and expect them
// there. In: a container's lines, and its mounted root, of which nothing runs. Out: the lines, and one for each folder that the host has.
import { existsSync } from 'node:fs';
import { release } from 'node:os';
import { normalize } from 'node:path';
import { escapeBlanks, fieldsOf } from '../../shared/lxc-config/mount-entries.ts';
import type { ConfigLine } from './config-draft.ts';
import { partsOf, resolveInside } from './inside-path.ts';

/** Below the folder of libraries, of the host and of the container. */
const FOLDERS = ['firmware', `modules/${release()}`];
/** Where it cannot be mounted, the container has what it brings. */
const OPTIONS = 'bind,ro,create=dir,optional';

/** Where the container mounts something itself, it has that alone. `lib`: of the host. */
export function withKernelFolders(entries: readonly ConfigLine[], rootfs: string, lib = '/lib'): readonly ConfigLine[] {
  const there = FOLDERS.filter((name) => existsSync(`${lib}/${name}`));
  if (there.length === 0) return entries;
  const own = ownTargets(entries);
  const added = there.flatMap((name): ConfigLine[] => {
    const target = placeOf(rootfs, `lib/${name}`);
    if (target === undefined || own.some((each) => meets(each, target) || meets(each, `lib/${name}`))) return [];
    return [{ key: 'lxc.mount.entry', value: `${lib}/${name} ${escapeBlanks(target)} none ${OPTIONS} 0 0` }];
  });
  return [...entries, ...added];
}

/** In many images /lib is a link to usr/lib, and nothing is mounted through links. Undefined: they lead nowhere. */
function placeOf(rootfs: string, inside: string): string | undefined {
  try {
    return resolveInside([rootfs], inside);
  } catch {
    return undefined;
  }
}

/** Of what LXC does not pass over, and since the last line without a value, which takes back all before it. */
function ownTargets(entries: readonly ConfigLine[]): readonly string[] {
  const lines = entries.filter(({ key }) => key === 'lxc.mount.entry').map(({ value }) => value);
  return lines.slice(lines.lastIndexOf('') + 1).flatMap((value) => {
    const { target, isAbsolute } = fieldsOf(value);
    return isAbsolute ? [] : [partsOf(normalize(target)).join('/')];
  });
}

/** The same place, or one in the other. */
function meets(one: string, other: string): boolean {
  return one === '' || `${one}/`.startsWith(`${other}/`) || `${other}/`.startsWith(`${one}/`);
}
