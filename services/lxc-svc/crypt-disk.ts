// Encrypted disks: an image under dm-crypt with an ext4 in it, made when it is first opened. Beside the image, `<key>.init_started` says
// that this was begun, `<key>.init_done` that it came to its end: what was not begun here, or is done, is never made anew.
import { existsSync, promises, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { attachForWriting } from '../../shared/kernel/loop-device.ts';
import { mount } from '../../shared/kernel/mount.ts';
import { type CryptDisk, keyFile, loadKey, makeKey } from './crypt-keys.ts';
import { isThere, makeEmptyFile, makeImage } from './disk-files.ts';
import type { DiskTools } from './disk-tools.ts';
import { unmountOrDetach } from './root-mounts.ts';
import type { UndoStack } from './undo-stack.ts';

export interface CryptPlaces {
  /** Of the image, on this machine. */
  readonly image: string;
  readonly mountPoint: string;
  /** Name of the mapping, unlike that of any other tree. */
  readonly mapping: string;
}

/** dm-crypt counts in sectors. */
const SECTORS_OF_MEBIBYTE = 2048;

export async function openCryptDisk(
  disk: CryptDisk,
  at: CryptPlaces,
  tools: DiskTools,
  undos: UndoStack,
): Promise<void> {
  const folder = dirname(at.image);
  const done = join(folder, `${disk.key}.init_done`);
  const started = join(folder, `${disk.key}.init_started`);
  const isFresh = !isThere(done) && (isThere(started) || !isThere(at.image));
  const device = join(tools.mapper, at.mapping);
  const unmap = (): Promise<unknown> => unmapDisk(disk, at, tools);
  // What an interrupted opening left; of a finished disk it is as good as a new one.
  if (existsSync(device) && isFresh) await unmap();
  if (isFresh) {
    await makeEmptyFile(started);
    await makeKey(disk, folder, tools);
    await makeImage(at.image, disk.mebibytes);
  }
  checkFiles(disk, at.image, folder);
  if (!existsSync(device)) await mapDisk(disk, at, folder, tools);
  undos.push(unmap);
  if (isFresh) await tools.run('mkfs.ext4', ['-q', device], { endsWithUs: true });
  await promises.mkdir(at.mountPoint, { recursive: true });
  await mountChecked(device, at.mountPoint, isFresh, tools);
  undos.push(() => unmountOrDetach(at.mountPoint));
  if (!isThere(done)) await makeEmptyFile(done);
  await promises.rm(started, { force: true });
}

/** It is unmounted. */
export async function unmapDisk({ keySource }: CryptDisk, { mapping }: CryptPlaces, tools: DiskTools): Promise<void> {
  if (!existsSync(join(tools.mapper, mapping))) return;
  if (keySource === 'file') await tools.run('cryptsetup', ['close', mapping]);
  else await tools.run('dmsetup', ['remove', '--retry', mapping]);
}

/** A new key for an old image, or the other way round, would look like a broken file system. */
function checkFiles(disk: CryptDisk, image: string, folder: string): void {
  for (const path of [image, keyFile(disk, folder)]) {
    if (statSync(path, { throwIfNoEntry: false })?.isFile() === true) continue;
    const again = `remove ${join(folder, `${disk.key}.init_done`)} to make an empty disk`;
    throw new Error(`${path} is missing, without it what is on the disk cannot be read: put it back, or ${again}`);
  }
}

async function mapDisk(disk: CryptDisk, at: CryptPlaces, folder: string, tools: DiskTools): Promise<void> {
  if (disk.keySource === 'file') {
    const cipher = ['--type', 'plain', '--cipher', 'aes-cbc-essiv:sha256', '--key-size', '256'];
    await tools.run('cryptsetup', ['open', ...cipher, '--key-file', keyFile(disk, folder), at.image, at.mapping]);
    return;
  }
  const key = await loadKey(disk, folder, tools);
  try {
    // The mapping keeps it until it is removed.
    const loop = attachForWriting(at.image);
    try {
      const sectors = disk.mebibytes * SECTORS_OF_MEBIBYTE;
      const table = `0 ${sectors} crypt ${key.cipher} ${key.reference} 0 ${loop.path} 0 1 sector_size:512`;
      await tools.run('dmsetup', ['create', at.mapping, '--table', table]);
    } finally {
      loop.close();
    }
  } finally {
    await key.forget();
  }
}

async function mountChecked(device: string, target: string, isFresh: boolean, tools: DiskTools): Promise<void> {
  try {
    mount(device, target, 'ext4', 0);
  } catch (error) {
    if (isFresh) throw error;
    // 1: errors were corrected (fsck(8)).
    await tools.run('fsck.ext4', ['-y', device], { alsoFine: 1 });
    mount(device, target, 'ext4', 0);
  }
}
