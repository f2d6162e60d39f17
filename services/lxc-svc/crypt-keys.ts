// Keys of encrypted disks by where they come from: a file, or hardware that gives out sealed ones only (kernel:
// Documentation/security/keys/trusted-encrypted.rst; NXP's caam-keygen). Files are those of stock devices, so that their disks open.
import { promises, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Disk } from '../../shared/schema/storage.ts';
import { isThere, makeFile, makeKeyFile } from './disk-files.ts';
import type { DiskTools } from './disk-tools.ts';

export type CryptDisk = Extract<Disk, { kind: 'crypt' }>;

/** Of dm-crypt tables (kernel: Documentation/admin-guide/device-mapper/dm-crypt.rst). */
export interface TableKey {
  readonly cipher: string;
  /** `:<bytes>:<type>:<description>` of a key in the kernel's keyring. */
  readonly reference: string;
  /** Takes it out of the keyring; the table has its own copy. */
  readonly forget: () => Promise<unknown>;
}

/** The file without which the disk can never be opened again. */
export function keyFile({ keySource, key }: CryptDisk, folder: string): string {
  return join(folder, keySource === 'file' ? `${key}.txt` : `${key}.bb`);
}

/** Leaves a key alone that is there. */
export async function makeKey(disk: CryptDisk, folder: string, tools: DiskTools): Promise<void> {
  const path = keyFile(disk, folder);
  if (disk.keySource === 'file') return makeKeyFile(path);
  if (isThere(path)) return;
  if (disk.keySource === 'caam-tagged') return makeTagged(disk.key, path, tools);
  const id = (await tools.run('keyctl', ['add', 'trusted', description(disk), 'new 32', '@u'])).stdout.trim();
  try {
    const sealed = (await tools.run('keyctl', ['pipe', id])).stdout;
    await makeFile(path, 1, () => Buffer.from(sealed));
  } finally {
    await tools.run('keyctl', ['unlink', id, '@u']);
  }
}

async function makeTagged(key: string, path: string, tools: DiskTools): Promise<void> {
  await promises.mkdir(tools.caam, { recursive: true, mode: 0o700 });
  await tools.run('caam-keygen', ['create', key, 'ecb', '-s', '16']);
  const blob = readFileSync(join(tools.caam, `${key}.bb`));
  await makeFile(path, 1, () => blob);
}

/** Into the kernel's keyring. Not for keys in files, which cryptsetup reads itself. */
export async function loadKey(disk: CryptDisk, folder: string, tools: DiskTools): Promise<TableKey> {
  const path = keyFile(disk, folder);
  if (disk.keySource === 'caam-tagged') return loadTagged(disk.key, path, tools);
  const sealed = readFileSync(path, 'utf8').trim();
  const added = await tools.run('keyctl', ['add', 'trusted', description(disk), `load ${sealed}`, '@u']);
  const id = added.stdout.trim();
  return {
    cipher: disk.keySource === 'dcp-trusted' ? 'capi:cbc(aes)-essiv:sha256' : 'capi:cbc(aes)-plain64',
    reference: `:32:trusted:${description(disk)}`,
    forget: () => tools.run('keyctl', ['unlink', id, '@u']),
  };
}

async function loadTagged(key: string, path: string, tools: DiskTools): Promise<TableKey> {
  const imported = `${key}.import`;
  await promises.mkdir(tools.caam, { recursive: true, mode: 0o700 });
  await promises.copyFile(path, join(tools.caam, basename(path)));
  await tools.run('caam-keygen', ['import', join(tools.caam, basename(path)), imported]);
  try {
    const input = readFileSync(join(tools.caam, imported));
    const id = (await tools.run('keyctl', ['padd', 'logon', 'logkey:', '@u'], { input })).stdout.trim();
    return {
      cipher: 'capi:tk(cbc(aes))-plain',
      reference: ':36:logon:logkey:',
      forget: () => tools.run('keyctl', ['unlink', id, '@u']),
    };
  } finally {
    await promises.rm(join(tools.caam, imported), { force: true });
  }
}

function description({ name }: CryptDisk): string {
  return `berth.${name}`;
}
