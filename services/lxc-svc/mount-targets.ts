// Mount points of a container's mount entries. LXC mounts through no link, but makes what `create=dir` and `create=file` ask for before it
// looks: it follows links on the way there, which lead into the host for it. So mount points are made here, where no link is followed, and
// LXC makes them only in a tmpfs of this start, where nobody can have put a link. In: the entries as LXC is given them, with what they name
// in place. Out: those that LXC has something to mount for.
import { statSync } from 'node:fs';
import { reasonOf } from '../../shared/kernel/system-error.ts';
import { hasAutodev } from '../../shared/lxc-config/autodev.ts';
import { fieldsOf, withFields } from '../../shared/lxc-config/mount-entries.ts';
import { type ConfigLine, placeOf } from './config-draft.ts';
import { LinkFound, makingMountPoint, partsOf, usingInside } from './inside-path.ts';
import { type MountSource, mountId } from './mount-sources.ts';
import { type Content, createMountView, type MountView, type Seen } from './mount-view.ts';

/** As in images whose /etc/resolv.conf is systemd-resolved's, or whose /var/run is /run. */
const LINK_WAY = ', and LXC mounts through none: write where it leads to, or leave the line or the link out';

type Fields = ReturnType<typeof fieldsOf>;

interface Start {
  readonly rootfs: string;
  readonly view: MountView;
  readonly bindNext: BindNext;
}

/** Answers where it is bound now. */
export type BindNext = (source: Omit<MountSource, 'place'>) => string;

/** Without those that LXC would pass over, as they are `optional`. Throws an error that names the line which LXC would fail at. */
export function withMountPoints(
  rootfs: string,
  entries: readonly ConfigLine[],
  bindNext: BindNext,
): readonly ConfigLine[] {
  const view = createMountView({ kind: 'folder', root: rootfs, options: new Set() });
  for (const target of automatic(entries)) view.mount([target], { kind: target === 'dev' ? 'fresh' : 'unknown' });
  const isEntry = ({ key }: ConfigLine): boolean => key === 'lxc.mount.entry';
  // A line without a value takes back all before it.
  const taken = entries.findLastIndex((entry) => isEntry(entry) && entry.value === '');
  return entries.flatMap((entry, index) =>
    isEntry(entry) && index > taken ? prepared({ rootfs, view, bindNext }, entry) : [entry],
  );
}

/** What LXC mounts before the entries. */
function automatic(entries: readonly ConfigLine[]): readonly string[] {
  const auto = entries.flatMap(({ key, value }) => (key === 'lxc.mount.auto' ? value.split(/[\s:]+/) : []));
  return [...['proc', 'sys'].filter((name) => auto.includes(name)), ...(hasAutodev(entries) ? ['dev'] : [])];
}

function prepared(start: Start, entry: ConfigLine): ConfigLine[] {
  const { view } = start;
  const written = fieldsOf(entry.value);
  const isMade = (option: string): boolean => option.startsWith('create=');
  if (written.isAbsolute) {
    return [
      { ...entry, value: withFields(entry.value, { options: [...written.options].filter((each) => !isMade(each)) }) },
    ];
  }
  try {
    const target = withoutDots(written.target);
    const seen = view.at(target);
    const fields = withSource(start, written);
    const content = contentOf(fields);
    if (!isPassedOver(fields, content, targetOf(seen, fields))) view.mount(target, content ?? { kind: 'unknown' });
    const changed = fields === written ? {} : { source: fields.source };
    const options = [...fields.options].filter((option) => seen.content.kind === 'fresh' || !isMade(option));
    return [{ ...entry, value: withFields(entry.value, { ...changed, target: target.join('/') || '.', options }) }];
  } catch (error) {
    if (written.options.has('optional')) return [];
    const way = error instanceof LinkFound ? LINK_WAY : '';
    throw new Error(`${placeOf(entry)} /${written.target} is no place to mount something: ${reasonOf(error)}${way}`);
  }
}

/** As LXC takes them: a part before `..` is no link. */
function withoutDots(target: string): string[] {
  const left: string[] = [];
  for (const part of partsOf(target)) {
    if (part !== '..') left.push(part);
    else if (left.pop() === undefined) throw new Error('it leads out of the container');
  }
  return left;
}

type Target = 'folder' | 'file' | 'missing' | 'unseen';

/** Makes it, where it is asked to; `missing` is LXC's to find out. Throws LinkFound, and why it could not be made. */
function targetOf({ content, below }: Seen, { options }: Fields): Target {
  if (content.kind !== 'folder') return 'unseen';
  const isMade = options.has('create=dir') || options.has('create=file');
  const making = isMade && !content.options.has('ro') ? makingMountPoint(options.has('create=dir')) : undefined;
  try {
    return usingInside(content.root, below, (path) => (statSync(path).isDirectory() ? 'folder' : 'file'), making);
  } catch (error) {
    if (isMade || error instanceof LinkFound) throw error;
    return 'missing';
  }
}

/** LXC mounts nothing, and goes on without it. */
function isPassedOver({ options }: Fields, content: Content | undefined, target: Target): boolean {
  if (!options.has('optional')) return false;
  if (content === undefined || target === 'missing') return true;
  return target !== 'unseen' && content.kind !== 'unknown' && (content.kind === 'file') !== (target === 'file');
}

/** What a mount of it forbids, all mounts of what is in it forbid, too. */
const FORBIDDING = ['ro', 'nosuid', 'nodev', 'noexec'];

/**
 * LXC follows links of the container to a source that is `relative`, a path of the container's: in a folder that others write meanwhile it
 * is bound here, and LXC given that. Not with what is mounted below it, which LXC alone has. Throws LinkFound.
 */
function withSource({ rootfs, view, bindNext }: Start, fields: Fields): Fields {
  const { source: name, options } = fields;
  if (!options.has('relative')) return fields;
  const { content, below } = view.at(withoutDots(name));
  if (content.kind !== 'folder' || !isWithin(content.root, below) || content.root === rootfs || options.has('rbind'))
    return fields;
  const more = { isBerths: false, isMade: false, isOptional: options.has('optional'), isRecursive: false };
  const source = bindNext({ name, root: content.root, inside: below, ...more });
  const kept = [...options].filter((option) => option !== 'relative');
  return {
    ...fields,
    source,
    options: new Set([...kept, ...FORBIDDING.filter((option) => content.options.has(option))]),
  };
}

/** There, and in the same mount. Throws LinkFound. */
function isWithin(root: string, below: string): boolean {
  try {
    return usingInside(root, below, mountId) === usingInside(root, '', mountId);
  } catch (error) {
    if (error instanceof LinkFound) throw error;
    return false;
  }
}

/** Undefined: there is no such source. */
function contentOf({ source, type, options }: Fields): Content | undefined {
  if (!options.has('bind') && !options.has('rbind')) return { kind: type === 'tmpfs' ? 'fresh' : 'unknown' };
  if (options.has('relative') || !source.startsWith('/')) return { kind: 'unknown' };
  const stats = statSync(source, { throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  return stats.isDirectory() ? { kind: 'folder', root: source, options } : { kind: 'file' };
}
