// Mount points of a container's mount entries. LXC mounts through no link, but makes what `create=dir` and `create=file` ask for before it
// looks: it follows links on the way there, which lead into the host for it. So mount points are made here, where no link is followed, and
// LXC makes them only in a tmpfs of this start, where nobody can have put a link. In: the entries as LXC is given them, with what they name
// in place. Out: those that LXC has something to mount for.
import { statSync } from 'node:fs';
import { fieldsOf, withFields } from '../../shared/lxc-config/mount-entries.ts';
import { type ConfigLine, placeOf } from './config-draft.ts';
import { LinkFound, makingMountPoint, partsOf, usingInside } from './inside-path.ts';
import { type Content, createMountView, type MountView, type Seen } from './mount-view.ts';

type Fields = ReturnType<typeof fieldsOf>;

/** Without those that LXC would pass over, as they are `optional`. Throws an error that names the line which LXC would fail at. */
export function withMountPoints(rootfs: string, entries: readonly ConfigLine[]): readonly ConfigLine[] {
  const view = createMountView({ kind: 'folder', root: rootfs, isReadOnly: false });
  for (const target of automatic(entries)) view.mount([target], { kind: target === 'dev' ? 'fresh' : 'unknown' });
  const isEntry = ({ key }: ConfigLine): boolean => key === 'lxc.mount.entry';
  // A line without a value takes back all before it.
  const taken = entries.findLastIndex((entry) => isEntry(entry) && entry.value === '');
  return entries.flatMap((entry, index) => (isEntry(entry) && index > taken ? prepared(view, entry) : [entry]));
}

/** What LXC mounts before the entries. */
function automatic(entries: readonly ConfigLine[]): readonly string[] {
  const auto = entries.flatMap(({ key, value }) => (key === 'lxc.mount.auto' ? value.split(/[\s:]+/) : []));
  const hasDev = entries.findLast(({ key }) => key === 'lxc.autodev')?.value !== '0';
  return [...['proc', 'sys'].filter((name) => auto.includes(name)), ...(hasDev ? ['dev'] : [])];
}

function prepared(view: MountView, entry: ConfigLine): ConfigLine[] {
  const fields = fieldsOf(entry.value);
  const options = [...fields.options].filter((option) => !option.startsWith('create='));
  if (fields.isAbsolute) return [{ ...entry, value: withFields(entry.value, { options }) }];
  try {
    const target = withoutDots(fields.target);
    const seen = view.at(target);
    lookAtSource(view, fields);
    const content = contentOf(fields);
    if (!isPassedOver(fields, content, targetOf(seen, fields))) view.mount(target, content ?? { kind: 'unknown' });
    const kept = seen.content.kind === 'fresh' ? fields.options : options;
    return [{ ...entry, value: withFields(entry.value, { target: target.join('/') || '.', options: kept }) }];
  } catch (error) {
    if (fields.options.has('optional')) return [];
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`${placeOf(entry)} /${fields.target} is no place to mount something: ${reason}`);
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
  const making = isMade && !content.isReadOnly ? makingMountPoint(options.has('create=dir')) : undefined;
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

/** LXC follows links of the container to a source that is `relative`, a path of the container's. Throws LinkFound. */
function lookAtSource(view: MountView, { source, options }: Fields): void {
  if (!options.has('relative')) return;
  const { content, below } = view.at(withoutDots(source));
  if (content.kind !== 'folder') return;
  try {
    usingInside(content.root, below, () => undefined);
  } catch (error) {
    if (error instanceof LinkFound) throw error;
  }
}

/** Undefined: there is no such source. */
function contentOf({ source, type, options }: Fields): Content | undefined {
  if (!options.has('bind') && !options.has('rbind')) return { kind: type === 'tmpfs' ? 'fresh' : 'unknown' };
  if (options.has('relative') || !source.startsWith('/')) return { kind: 'unknown' };
  const stats = statSync(source, { throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  return stats.isDirectory() ? { kind: 'folder', root: source, isReadOnly: options.has('ro') } : { kind: 'file' };
}
