// What a disk of device.json or disks.json is: its document against the rules of its type. Pure.
import * as z from 'zod/mini';
import { artifactName, type Disk, diskName } from '../schema/storage.ts';
import { backingOf, mebibytesOf } from './disk-backing.ts';
import { checkApart } from './disk-claims.ts';
import { checkedPath, isBlockDevice, isImagePath, isInStorage } from './disk-paths.ts';
import { missingKeys } from './document.ts';
import type { PlacedDisk, Problem } from './revision.ts';
import { shown } from './schema-problems.ts';

const CRYPT_TYPES = ['dm-crypt-versatile', 'dm-crypt-caam', 'dm-crypt-dcp'] as const;

// Strings where the rules below say more than a schema can.
export const diskDocument = z.object({
  name: z.optional(diskName),
  type: z.optional(z.enum(['volume-disk', 'directory', 'swap-disk', ...CRYPT_TYPES])),
  path: z.optional(z.string()),
  format: z.optional(z.string()),
  mode: z.optional(z.enum(['mainline', 'nxp'])),
  provision: z.optional(z.string()),
  provision_options: z.optional(z.string()),
  /** The older name of `provision_options`. */
  provision_ops: z.optional(z.string()),
  default: z.optional(z.enum(['yes', 'no'])),
});
export type DiskDocument = z.output<typeof diskDocument>;

export interface DiskAt {
  readonly document: DiskDocument;
  /** JSON path of the document. */
  readonly path: string;
}

export interface ReadDisks {
  /** Those that keep the rules. */
  readonly disks: readonly PlacedDisk[];
  /** Also those that do not: who names one of these names no unknown disk. */
  readonly names: ReadonlySet<string>;
  /** Of volumes that name none. */
  readonly defaultName: string | undefined;
  readonly problems: readonly Problem[];
}

/** Codes: MISSING, DUPLICATE_DISK, TWO_DEFAULT_DISKS, DISK_PATH, DISK_FORMAT, DISK_OPTIONS, DISK_UNSUPPORTED, DISK_SHARED, SWAP_IS_DEFAULT. */
export function readDisks(list: readonly DiskAt[]): ReadDisks {
  const problems: Problem[] = [];
  const disks: PlacedDisk[] = [];
  for (const [index, { document, path }] of list.entries()) {
    const wrong = missingKeys(document, ['name', 'type'], path);
    const { name } = document;
    if (name !== undefined && list.findIndex((other) => other.document.name === name) !== index) {
      wrong.push({ path: `${path}.name`, code: 'DUPLICATE_DISK', message: `disk '${name}' is there already` });
    }
    const read = wrong.length > 0 || name === undefined ? undefined : diskOf(name, document, path, wrong);
    if (read !== undefined) disks.push({ disk: read, path });
    problems.push(...wrong);
  }
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
  const names = new Set(list.flatMap(({ document }) => document.name ?? []));
  return { disks, names, defaultName: first?.document.name, problems };
}

function diskOf(name: string, document: DiskDocument, path: string, wrong: Problem[]): Disk | undefined {
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
): Disk | undefined {
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
  const keySource = keySourceOf(type, document.mode, path, wrong);
  if (image === undefined || keySource === undefined || !isImagePath(image, at, wrong)) return undefined;
  return { kind: 'crypt', name, keySource, image, mebibytes, key };
}

function keySourceOf(
  type: (typeof CRYPT_TYPES)[number],
  mode: DiskDocument['mode'],
  path: string,
  wrong: Problem[],
): Extract<Disk, { kind: 'crypt' }>['keySource'] | undefined {
  if (type === 'dm-crypt-versatile') return 'file';
  if (type === 'dm-crypt-caam') return mode === 'mainline' ? 'caam-trusted' : 'caam-tagged';
  if (mode === 'mainline') return 'dcp-trusted';
  const found = mode === undefined ? 'is missing' : `is ${shown(mode)}`;
  const message = `${found}; DCP keys are the kernel's trusted keys here, write "mainline"`;
  wrong.push({ path: `${path}.mode`, code: 'DISK_UNSUPPORTED', message });
  return undefined;
}
