// What a disk of device.json or disks.json is: its document against the rules of its type. Pure.
import { artifactName, type Disk } from '../schema/storage.ts';
import { backingOf, mebibytesOf } from './disk-backing.ts';
import { checkApart } from './disk-claims.ts';
import { type CRYPT_TYPES, DISK_TYPES, type DiskAt, type DiskDocument } from './disk-document.ts';
import { checkedPath, isBlockDevice, isImagePath, isInStorage } from './disk-paths.ts';
import { diskWarnings } from './disk-warnings.ts';
import { missingKeys } from './document.ts';
import type { PlacedDisk, Problem } from './revision.ts';
import { shown } from './schema-problems.ts';

export interface ReadDisks {
  /** Those that keep the rules. */
  readonly disks: readonly PlacedDisk[];
  /** Names and aliases, each with the name of its disk. Also of those that do not: who names one of these names no unknown disk. */
  readonly names: ReadonlyMap<string, string>;
  /** By name, why nothing can be kept on it here: a problem of the volumes on it, and of nobody else. Code DISK_UNSUPPORTED. */
  readonly unsupported: ReadonlyMap<string, Problem>;
  /** Of volumes that name none. */
  readonly defaultName: string | undefined;
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
}

/**
 * Codes: MISSING, DUPLICATE_DISK, TWO_DEFAULT_DISKS, DISK_PATH, DISK_FORMAT, DISK_OPTIONS, DISK_SHARED, SWAP_IS_DEFAULT; warning
 * NOT_SUPPORTED.
 */
export function readDisks(list: readonly DiskAt[]): ReadDisks {
  const problems: Problem[] = [];
  const disks: PlacedDisk[] = [];
  const unsupported = new Map<string, Problem>();
  for (const [index, { document, path }] of list.entries()) {
    const wrong = missingKeys(document, ['name', 'type'], path);
    const { name } = document;
    if (name !== undefined && list.findIndex((other) => other.document.name === name) !== index) {
      wrong.push({ path: `${path}.name`, code: 'DUPLICATE_DISK', message: `disk '${name}' is there already` });
    }
    const read = wrong.length > 0 || name === undefined ? undefined : diskOf(name, document, path, wrong);
    if (read?.kind === 'unsupported') unsupported.set(read.name, read.problem);
    else if (read !== undefined) disks.push({ disk: read, path });
    problems.push(...wrong);
  }
  const names = namesOf(list, problems);
  problems.push(...checkApart(disks));
  const defaults = list.filter(({ document }) => document.default === 'yes');
  for (const { document, path } of defaults.slice(1)) {
    const message = `disk '${document.name ?? '?'}' is a second default beside '${defaults[0]?.document.name ?? '?'}'; only one may be`;
    problems.push({ path: `${path}.default`, code: 'TWO_DEFAULT_DISKS', message });
  }
  const [first] = defaults;
  if (first?.document.type === 'swap-disk') {
    const message = `disk '${first.document.name ?? '?'}' is swap: no volume can live on it`;
    problems.push({ path: `${first.path}.default`, code: 'SWAP_IS_DEFAULT', message });
  }
  const lacking = [...unsupported].map(([name, { path, message }]) => ({
    path,
    code: 'NOT_SUPPORTED',
    message: `${message}; no volume can be on disk '${name}'`,
  }));
  const warnings = [...lacking, ...diskWarnings(list)];
  return { disks, names, unsupported, defaultName: first?.document.name, problems, warnings };
}

/** An alias that is a name of another disk is a problem; one that is its own name says nothing. */
function namesOf(list: readonly DiskAt[], problems: Problem[]): ReadonlyMap<string, string> {
  const named = list.flatMap(({ document: { name } }) => name ?? []);
  const names = new Map(named.map((name): [string, string] => [name, name]));
  for (const { document, path } of list) {
    const { name, aliases = [] } = document;
    if (name === undefined) continue;
    for (const [index, alias] of aliases.entries()) {
      const owner: string = names.get(alias) ?? name;
      names.set(alias, owner);
      if (owner === name) continue;
      const message = `is ${shown(alias)}, which is a name of disk '${owner}' already`;
      problems.push({ path: `${path}.aliases.${index}`, code: 'DUPLICATE_DISK', message });
    }
  }
  return names;
}

interface UnsupportedDisk {
  readonly kind: 'unsupported';
  readonly name: string;
  readonly problem: Problem;
}

function unsupportedDisk(name: string, path: string, message: string): UnsupportedDisk {
  return { kind: 'unsupported', name, problem: { path, code: 'DISK_UNSUPPORTED', message } };
}

type ReadDisk = Disk | UnsupportedDisk | undefined;

function diskOf(name: string, document: DiskDocument, path: string, wrong: Problem[]): ReadDisk {
  switch (document.type) {
    case 'volume-disk':
    case 'directory':
      return document.provision === undefined && !isBlockDevice(document.path)
        ? folderDisk(name, document, path, wrong)
        : fileSystemDisk(name, document, path, wrong);
    case 'swap-disk': {
      const backing = backingOf(document, path, wrong);
      return backing === undefined ? undefined : { kind: 'swap', name, backing };
    }
    case 'dm-crypt-versatile':
    case 'dm-crypt-caam':
    case 'dm-crypt-dcp':
      return cryptDisk(name, document.type, document, path, wrong);
    case undefined:
      return undefined;
    default:
      return unsupportedDisk(
        name,
        `${path}.type`,
        `is ${shown(document.type)}; here there are ${DISK_TYPES.join(', ')}`,
      );
  }
}

/** Where a folder would hide what the system or Berth keeps there. */
const SYSTEM_FOLDERS = ['/proc', '/sys', '/dev', '/run', '/boot', '/etc', '/bin', '/sbin', '/lib', '/usr'];

function folderDisk(name: string, document: DiskDocument, path: string, wrong: Problem[]): Disk | undefined {
  if (document.path === undefined || document.path === '') return { kind: 'folder', name };
  const folder = checkedPath(document.path.replace(/(?<=[^/])\/+$/, ''), `${path}.path`, wrong);
  if (folder === undefined) return undefined;
  const system = SYSTEM_FOLDERS.find((each) => folder === each || folder.startsWith(`${each}/`));
  if (system !== undefined) {
    const message = `is ${shown(folder)}, which is the system's; name a folder below /storage, or where a disk is mounted`;
    wrong.push({ path: `${path}.path`, code: 'DISK_PATH', message });
    return undefined;
  }
  // Where volumes are that name no disk: what older revisions call their built-in disk.
  if (folder === '/storage/disks') return { kind: 'folder', name };
  return isInStorage(folder, `${path}.path`, wrong) === false ? undefined : { kind: 'folder', name, path: folder };
}

function fileSystemDisk(name: string, document: DiskDocument, path: string, wrong: Problem[]): Disk | undefined {
  const { format = 'ext4' } = document;
  if (format !== 'ext4' && format !== 'ext3') {
    wrong.push({
      path: `${path}.format`,
      code: 'DISK_FORMAT',
      message: `is ${shown(format)}; must be "ext4" or "ext3"`,
    });
    return undefined;
  }
  const backing = backingOf(document, path, wrong);
  return backing === undefined ? undefined : { kind: 'fileSystem', name, backing, format };
}

/** `<image>,<size in MiB>,<key>`, for CAAM after `-v2 `, which keeps older runtimes from opening it in another way. */
const CRYPT_PATH = /^(-v2 )?([^,]+),(\d{1,8}),([^,]+)$/;

function cryptDisk(
  name: string,
  type: (typeof CRYPT_TYPES)[number],
  document: DiskDocument,
  path: string,
  wrong: Problem[],
): ReadDisk {
  const at = `${path}.path`;
  const missing = missingKeys(document, ['path'], path);
  wrong.push(...missing);
  if (missing.length > 0) return undefined;
  const [, , imagePath = '', size = '', key = ''] = CRYPT_PATH.exec(document.path ?? '') ?? [];
  const mebibytes = mebibytesOf(size);
  if (mebibytes === undefined || !artifactName.safeParse(key).success) {
    const message = `is ${shown(document.path)}; must be <image>,<size in MiB>,<key name>, as in "/storage/crypt/disk1.img,8,key1"`;
    wrong.push({ path: at, code: 'DISK_PATH', message });
    return undefined;
  }
  const image = checkedPath(imagePath, at, wrong);
  if (image === undefined || !isImagePath(image, at, wrong)) return undefined;
  const keySource = keySourceOf(type, document.mode);
  if (keySource === undefined) {
    const found = document.mode === undefined ? 'is missing' : `is ${shown(document.mode)}`;
    const message = `${found}; DCP keys are the kernel's trusted keys here, write "mainline"`;
    return unsupportedDisk(name, `${path}.mode`, message);
  }
  return { kind: 'crypt', name, keySource, image, mebibytes, key };
}

function keySourceOf(
  type: (typeof CRYPT_TYPES)[number],
  mode: DiskDocument['mode'],
): Extract<Disk, { kind: 'crypt' }>['keySource'] | undefined {
  if (type === 'dm-crypt-versatile') return 'file';
  if (type === 'dm-crypt-caam') return mode === 'mainline' ? 'caam-trusted' : 'caam-tagged';
  return mode === 'mainline' ? 'dcp-trusted' : undefined;
}
