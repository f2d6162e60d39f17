// Where LXC makes mount points, as `create=dir` and `create=file` of mount entries ask for: it follows links on the way there, which lead
// into the host, makes what is missing where they lead, and only then refuses to mount through them.
import { dirname } from 'node:path';
import { type ConfigLine, placeOf } from './config-draft.ts';
import { LinkFound, partsOf, usingInside } from './inside-path.ts';
import { fieldsOf } from './mount-entries.ts';

/** By the time an entry is mounted. */
interface MountedBefore {
  readonly target: string;
  /** A folder that can be looked at; undefined: nothing of a container is in it. */
  readonly root: string | undefined;
}

/** Where containers write. `lxc`: every path below it can be opened, and is nobody's but Berth's to replace. */
export interface WrittenFolders {
  readonly rootfs: string;
  readonly lxc: string;
}

/**
 * `entries`: as LXC is given them, and what they name is there. Answers them without those that LXC would not mount, as a link is on the
 * way and the container starts without them. Throws an error that names the line where it does not.
 */
export function withoutLinkedTargets(
  { rootfs, lxc }: WrittenFolders,
  entries: readonly ConfigLine[],
): readonly ConfigLine[] {
  let before: readonly MountedBefore[] = automatic(entries);
  return entries.filter((entry) => {
    const { key, value } = entry;
    if (key !== 'lxc.mount.entry') return true;
    const { source, target: written, options } = fieldsOf(value);
    const target = partsOf(written).join('/');
    const isMade = options.has('create=dir') || options.has('create=file');
    const link = isMade ? linkOnTheWay([{ target: '', root: rootfs }, ...before], dirname(target)) : undefined;
    if (link !== undefined) {
      if (options.has('optional')) return false;
      throw new Error(`${placeOf(entry)} /${target} is no place to mount something: ${link.message}`);
    }
    // A line without a value takes back all before it.
    if (value === '') before = automatic(entries);
    else before = [...before, { target, root: source.startsWith(`${lxc}/`) ? source : undefined }];
    return true;
  });
}

/** What LXC mounts before the entries. */
function automatic(entries: readonly ConfigLine[]): readonly MountedBefore[] {
  const auto = entries.flatMap(({ key, value }) => (key === 'lxc.mount.auto' ? value.split(/[\s:]+/) : []));
  const hasDev = entries.findLast(({ key }) => key === 'lxc.autodev')?.value !== '0';
  const targets = [...['proc', 'sys'].filter((name) => auto.includes(name)), ...(hasDev ? ['dev'] : [])];
  return targets.map((target) => ({ target, root: undefined }));
}

function linkOnTheWay(before: readonly MountedBefore[], folder: string): LinkFound | undefined {
  const over = before.findLast(({ target }) => target === '' || folder === target || folder.startsWith(`${target}/`));
  if (over?.root === undefined) return undefined;
  try {
    usingInside(over.root, folder.slice(over.target.length), () => undefined);
  } catch (error) {
    // What is not there is made by LXC, where it is looked for.
    if (error instanceof LinkFound) return error;
  }
  return undefined;
}
