// What a disk is made of: a block device, an image, or zram, ready to be formatted or used.
import { existsSync, promises, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { errorCode, reasonOf } from '../../shared/kernel/system-error.ts';
import type { Backing } from '../../shared/schema/storage.ts';
import { isThere, makeImage } from './disk-files.ts';
import type { DiskTools } from './disk-tools.ts';
import { formatEmpty } from './format-empty.ts';

export interface BackingPlaces {
  /** A path of device.json on this machine. */
  readonly placeOf: (path: string) => string;
  /** Where the number of a zram device is written down: it is what we made. */
  readonly zramRecord: string;
  /** Says of which device or image formatting was begun and is not over. On a disk: it outlives a power cut. */
  readonly formatRecord: string;
}

/** What a disk is to be: `wanted` as blkid names it, and the command that makes it so, in front of the path. */
export interface Format {
  readonly wanted: string;
  readonly command: readonly [program: string, ...args: string[]];
}

/** Makes what can be made; answers the path of the device or image. */
export async function prepareBacking(backing: Backing, at: BackingPlaces, tools: DiskTools): Promise<string> {
  switch (backing.kind) {
    case 'device':
      if (statSync(backing.path, { throwIfNoEntry: false })?.isBlockDevice() === true) return backing.path;
      throw new Error(`${backing.path} is no block device here`);
    case 'file': {
      const path = at.placeOf(backing.path);
      if (!isThere(path)) await makeImage(path, backing.mebibytes);
      return path;
    }
    case 'zram':
      return prepareZram(backing.settings, at.zramRecord, tools);
  }
}

/** What is `wanted` already stays as it is; throws for what is neither that nor empty. `path`: as prepareBacking answers it. */
export async function formatBacking(
  { kind }: Backing,
  path: string,
  { wanted, command }: Format,
  { formatRecord: record }: BackingPlaces,
  tools: DiskTools,
): Promise<void> {
  if (kind !== 'zram') return formatEmpty({ path, wanted, command, record }, tools);
  // It was made just now, and is gone with the power.
  const [program, ...args] = command;
  await tools.run(program, [...args, path], { endsWithUs: true });
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
  if (!(await dropBacking({ kind: 'zram' }, record, tools))) throw new Error(`${zramDevice(record, tools)} is in use`);
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
    throw new Error(`${path} does not take '${value}': ${reasonOf(error)}`);
  }
}

/** Nothing here uses it any more. What is on devices and in images stays. False: somebody else holds what is in the zram, which lives on. */
export async function dropBacking({ kind }: Pick<Backing, 'kind'>, record: string, tools: DiskTools): Promise<boolean> {
  if (kind !== 'zram' || !existsSync(record)) return true;
  const number = readFileSync(record, 'utf8').trim();
  const device = join(tools.sysfs, 'block', `zram${number}`);
  if (/^\d+$/.test(number) && existsSync(device)) {
    if (!isReset(device)) return false;
    writeFileSync(join(tools.sysfs, 'class/zram-control/hot_remove'), number);
  }
  await promises.rm(record, { force: true });
  return true;
}

/** False: it is open, as it is below a file system that is mounted anywhere. */
function isReset(device: string): boolean {
  try {
    writeFileSync(join(device, 'reset'), '1');
    return true;
  } catch (error) {
    if (errorCode(error) === 'EBUSY') return false;
    throw error;
  }
}

/** The device of a disk that was closed and lives on, because somebody holds what is on it: the next opening has it, too. */
export async function heldZram(backing: Backing, record: string, tools: DiskTools): Promise<string | undefined> {
  return (await dropBacking(backing, record, tools)) ? undefined : zramDevice(record, tools);
}

/** Of a zram disk that is open; undefined: it is not. */
export function zramDevice(record: string, tools: DiskTools): string | undefined {
  return existsSync(record) ? join(tools.dev, `zram${readFileSync(record, 'utf8').trim()}`) : undefined;
}
