// Disks without a key: file systems on devices, images and zram, and swap.
import { existsSync, promises, readFileSync } from 'node:fs';
import { attachForWriting } from '../../shared/kernel/loop-device.ts';
import { mount } from '../../shared/kernel/mount.ts';
import { escapePath } from '../../shared/kernel/mount-words.ts';
import { realPlace } from '../../shared/kernel/real-place.ts';
import type { Disk } from '../../shared/schema/storage.ts';
import {
  type BackingPlaces,
  dropBacking,
  type Format,
  formatBacking,
  heldZram,
  prepareBacking,
  zramDevice,
} from './backing.ts';
import type { DiskTools } from './disk-tools.ts';
import { unmountOrDetach } from './root-mounts.ts';
import type { UndoStack } from './undo-stack.ts';

type FileSystemDisk = Extract<Disk, { kind: 'fileSystem' }>;
type SwapDisk = Extract<Disk, { kind: 'swap' }>;

export async function openFileSystem(
  { backing, format }: FileSystemDisk,
  at: BackingPlaces & { readonly mountPoint: string },
  tools: DiskTools,
  undos: UndoStack,
): Promise<void> {
  const held = await heldZram(backing, at.zramRecord, tools);
  undos.push(() => dropBacking(backing, at.zramRecord, tools));
  const path = held ?? (await prepareBacking(backing, at, tools));
  // -F: an image is no block device, and that is right (mke2fs(8)).
  const wanted: Format = { wanted: format, command: [`mkfs.${format}`, '-q', '-F'] };
  if (held === undefined) await formatBacking(backing, path, wanted, at, tools);
  await promises.mkdir(at.mountPoint, { recursive: true });
  if (backing.kind !== 'file') {
    mount(path, at.mountPoint, format, 0);
  } else {
    const loop = attachForWriting(path);
    try {
      mount(loop.path, at.mountPoint, format, 0);
    } finally {
      loop.close();
    }
  }
  undos.push(() => unmountOrDetach(at.mountPoint));
}

export async function openSwap(
  { backing }: SwapDisk,
  at: BackingPlaces,
  tools: DiskTools,
  undos: UndoStack,
): Promise<void> {
  if (isSwapOn(backing, at, tools)) return;
  if (!existsSync(tools.swaps)) throw new Error('the kernel has no swap (CONFIG_SWAP)');
  undos.push(() => dropBacking(backing, at.zramRecord, tools));
  const path = await prepareBacking(backing, at, tools);
  await formatBacking(backing, path, { wanted: 'swap', command: ['mkswap'] }, at, tools);
  await tools.run('swapon', [path]);
}

/** False: as dropBacking. */
export async function closeSwap({ backing }: SwapDisk, at: BackingPlaces, tools: DiskTools): Promise<boolean> {
  const path = swapPath(backing, at, tools);
  if (path !== undefined && isSwapOn(backing, at, tools)) await tools.run('swapoff', [path]);
  return await dropBacking(backing, at.zramRecord, tools);
}

export function isSwapOn(backing: SwapDisk['backing'], at: BackingPlaces, tools: DiskTools): boolean {
  const path = swapPath(backing, at, tools);
  if (path === undefined || !existsSync(tools.swaps)) return false;
  // The first word of a line is where the path that it was turned on by leads, as names of /dev/disk do.
  const wanted = escapePath(realPlace(path));
  const lines = readFileSync(tools.swaps, 'utf8').split('\n');
  return lines.some((line) => line.split(/\s+/)[0] === wanted);
}

function swapPath(backing: SwapDisk['backing'], at: BackingPlaces, tools: DiskTools): string | undefined {
  switch (backing.kind) {
    case 'zram':
      return zramDevice(at.zramRecord, tools);
    case 'file':
      return at.placeOf(backing.path);
    case 'device':
      return backing.path;
  }
}
