// Bind sources of the host that lie in a folder which a container writes. It may make a link of any part of a path in there at any moment,
// and LXC follows it as root: what lies there is found within that folder and bound by Berth (mount-sources.ts), as what lies in a volume
// is; and what a line has made where it is not there. In: lines, and those folders. Out: the lines, with Berth's places in them.
import { lstatSync, readlinkSync, type Stats } from 'node:fs';
import { fieldsOf, MAKES_SOURCE, storageSource, withFields } from '../../shared/lxc-config/mount-entries.ts';
import { type ConfigDraft, type ConfigLine, placeOf } from './config-draft.ts';
import { MAX_LINKS, partsOf } from './inside-path.ts';
import type { MountSource } from './mount-sources.ts';

/** By device and inode: a folder has several paths where it is bound. */
export type WrittenFolders = ReadonlySet<string>;

/** Who writes one of them is root on the host by other ways; and system links lead from one of them to another. */
const SYSTEM_FOLDERS = new Set([
  '',
  '/bin',
  '/boot',
  '/dev',
  '/etc',
  '/lib',
  '/lib64',
  '/proc',
  '/root',
  '/run',
  '/sbin',
  '/sys',
  '/usr',
  '/var',
]);

/** Links of the kernel and of udev lead from any folder of one of them to any other one of it (`/sys/class/net/lo`, `/dev/serial/by-id`). */
const LINKED_FOLDERS = ['/dev', '/proc', '/sys'];

/** What a line binds from the host; undefined: nothing, or what is the container's, a volume's, an export's. */
function hostSource({ key, value }: ConfigLine): ReturnType<typeof fieldsOf> | undefined {
  if (key !== 'lxc.mount.entry') return undefined;
  const fields = fieldsOf(value);
  const isBound = (fields.options.has('bind') || fields.options.has('rbind')) && !fields.options.has('relative');
  return isBound && fields.source.startsWith('/') && storageSource(fields.source) === undefined ? fields : undefined;
}

/** Paths of the host that containers with these lines can write to. `ro` is taken at its word where that holds. */
export function writtenSources(entries: readonly ConfigLine[], holdsReadOnly = true): readonly string[] {
  return entries.flatMap((entry) => {
    const fields = hostSource(entry);
    return fields === undefined || (holdsReadOnly && fields.options.has('ro')) ? [] : [fields.source];
  });
}

/** `own`: of Berth, that hold what containers write. What is not there is left out; a file has nothing below it. */
export function writtenFolders(own: readonly string[], sources: readonly string[]): WrittenFolders {
  const folders = new Set<string>();
  // A folder before what lies in it, which it stands for.
  for (const path of [...own, ...[...new Set(sources)].sort()]) {
    const found = locate(path, folders);
    if (found?.inside === '' && !SYSTEM_FOLDERS.has(found.root)) folders.add(idOf(found.stats));
  }
  return folders;
}

interface HostSources extends ConfigDraft {
  readonly sources: readonly MountSource[];
}

/** `written` is asked where a line binds something of the host. `folder`: for the places. */
export function withHostSources(
  entries: readonly ConfigLine[],
  written: () => WrittenFolders,
  folder: string,
): HostSources {
  if (!entries.some((entry) => hostSource(entry) !== undefined)) return { entries, sources: [], notes: [] };
  const folders = written();
  const sources: MountSource[] = [];
  const notes: string[] = [];
  const bound = entries.map((entry) => {
    const fields = hostSource(entry);
    const isMade = fields?.options.has(MAKES_SOURCE) === true;
    const found = fields === undefined ? undefined : locate(fields.source, folders, isMade);
    if (fields === undefined || found === undefined || found.inside === '') return entry;
    const place = `${folder}/${sources.length}`;
    const [isOptional, isRecursive] = [fields.options.has('optional'), fields.options.has('rbind')];
    const { root, inside } = found;
    sources.push({ name: fields.source, place, root, inside, isBerths: false, isMade, isOptional, isRecursive });
    notes.push(`${placeOf(entry)} ${fields.source} is ${inside} in ${root}, where a container writes, or it is made`);
    return { ...entry, value: withFields(entry.value, { source: place }) };
  });
  return { entries: bound, sources, notes };
}

interface Found {
  /** Where nobody but the host makes links: the first folder on the way that is written, what it is linked with, the last one that is there, or the whole path. */
  readonly root: string;
  readonly inside: string;
  /** Of the first folder on the way that is written, of the last one that is there, or of the whole path. */
  readonly stats: Stats;
}

/**
 * Undefined: nothing is there, or nothing that LXC could follow; `isMade`: unless it can be made. Links of the host are followed by what they say,
 * those of /proc too.
 */
function locate(path: string, written: WrittenFolders, isMade = false): Found | undefined {
  const left = partsOf(path);
  let root = '';
  let links = 0;
  try {
    for (let part = left.shift(); part !== undefined; part = left.shift()) {
      if (part === '..') {
        root = root.slice(0, Math.max(root.lastIndexOf('/'), 0));
        continue;
      }
      const here = `${root}/${part}`;
      const stats = lstatSync(here, { throwIfNoEntry: false });
      if (stats === undefined) return isMade ? toBeMade(root, [part, ...left]) : undefined;
      if (stats.isSymbolicLink()) {
        links += 1;
        if (links > MAX_LINKS) return undefined;
        const target = readlinkSync(here);
        if (target.startsWith('/')) root = '';
        left.unshift(...partsOf(target));
        continue;
      }
      root = here;
      if (left[0] !== '..' && written.has(idOf(stats))) return inWritten(root, left, stats);
    }
    return { root, inside: '', stats: lstatSync(root === '' ? '/' : root) };
  } catch {
    return undefined;
  }
}

/** What is not there has nothing above it to go to. */
function toBeMade(folder: string, below: readonly string[]): Found | undefined {
  const root = folder === '' ? '/' : folder;
  const stats = lstatSync(root);
  return below.includes('..') || !stats.isDirectory() ? undefined : { root, inside: below.join('/'), stats };
}

/** What something else is mounted on (`/dev/shm`) has links of its own. */
function inWritten(folder: string, below: readonly string[], stats: Stats): Found {
  const linked = LINKED_FOLDERS.find((top) => folder.startsWith(`${top}/`) && lstatSync(top).dev === stats.dev);
  if (linked === undefined || below.length === 0) return { root: folder, inside: below.join('/'), stats };
  return { root: linked, inside: [...partsOf(folder.slice(linked.length)), ...below].join('/'), stats };
}

function idOf({ dev, ino }: Stats): string {
  return `${dev}:${ino}`;
}
