// What a disk is made of: a block device, an image, or zram, ready to be formatted or used.
import { existsSync, promises, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Backing } from '../../shared/schema/storage.ts';
import { makeImage } from './disk-files.ts';
import type { DiskTools } from './disk-tools.ts';

export interface BackingPlaces {
  /** A path of device.json on this machine. */
  readonly placeOf: (path: string) => string;
  /** Where the number of a zram device is written down: it is what we made. */
  readonly zramRecord: string;
}

/** Makes what can be made; answers the path of the device or image. */
export async function prepareBacking(backing: Backing, at: BackingPlaces, tools: DiskTools): Promise<string> {
  switch (backing.kind) {
    case 'device':
      if (statSync(backing.path, { throwIfNoEntry: false })?.isBlockDevice() === true) return backing.path;
      throw new Error(`${backing.path} is no block device here`);
    case 'file': {
      const path = at.placeOf(backing.path);
      if (!existsSync(path)) await makeImage(path, backing.mebibytes);
      return path;
    }
    case 'zram':
      return prepareZram(backing.settings, at.zramRecord, tools);
  }
}

/** Kernel: Documentation/admin-guide/blockdev/zram.rst. */
async function prepareZram(
  settings: readonly (readonly [string, string])[],
  record: string,
  tools: DiskTools,
): Promise<string> {
  const control = join(tools.sysfs, 'class/zram-control');
  if (!existsSync(control)) await tools.run('modprobe', ['zram', 'num_devices=0']);
  // One that is not as it should be from an interrupted opening goes first.
  await dropBacking({ kind: 'zram', settings: [] }, record, tools);
  const number = readFileSync(join(control, 'hot_add'), 'utf8').trim();
  await promises.mkdir(dirname(record), { recursive: true });
  writeFileSync(record, number);
  for (const [key, value] of settings) setAttribute(join(tools.sysfs, 'block', `zram${number}`, key), value);
  return join(tools.dev, `zram${number}`);
}

function setAttribute(path: string, value: string): void {
  try {
    writeFileSync(path, value);
  } catch (error) {
    throw new Error(`${path} does not take '${value}': ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Nothing uses it any more. What is on devices and in images stays. */
export async function dropBacking({ kind }: Backing, record: string, tools: DiskTools): Promise<void> {
  if (kind !== 'zram' || !existsSync(record)) return;
  const number = readFileSync(record, 'utf8').trim();
  const device = join(tools.sysfs, 'block', `zram${number}`);
  if (/^\d+$/.test(number) && existsSync(device)) {
    writeFileSync(join(device, 'reset'), '1');
    writeFileSync(join(tools.sysfs, 'class/zram-control/hot_remove'), number);
  }
  await promises.rm(record, { force: true });
}

/** Of a zram disk that is open; undefined: it is not. */
export function zramDevice(record: string, tools: DiskTools): string | undefined {
  return existsSync(record) ? join(tools.dev, `zram${readFileSync(record, 'utf8').trim()}`) : undefined;
}

/** Exit code of blkid(8) where it finds nothing that it knows. */
const BLKID_NOTHING = 2;

/**
 * Formats what is empty, with `make`; leaves what is `wanted` already. Throws for anything else: nobody asked to lose it.
 * `wanted`: as blkid names it.
 */
export async function formatEmpty(
  path: string,
  wanted: string,
  make: () => Promise<unknown>,
  tools: DiskTools,
): Promise<void> {
  const probed = await tools.run('blkid', ['-p', '-o', 'value', '-s', 'TYPE', path], { alsoFine: BLKID_NOTHING });
  const found = probed.stdout.trim();
  if (probed.exitCode === BLKID_NOTHING || found === '') await make();
  else if (found !== wanted) throw new Error(`${path} holds ${found}, not ${wanted}: wipe it, or correct device.json`);
}
