// Disks of device.json, opened with the first container that has a volume on them and closed with the last. Swap is every container's.
// What is open is read from mounts, mappings and /proc/swaps; kept in memory is only who is about to use a disk.
import { existsSync, mkdirSync, readdirSync, rmdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { reasonOf } from '../../shared/kernel/system-error.ts';
import type { Logger } from '../../shared/log/logger.ts';
import type { Disk } from '../../shared/schema/storage.ts';
import type { BackingPlaces } from './backing.ts';
import { dropBacking } from './backing.ts';
import { type CryptPlaces, openCryptDisk, unmapDisk } from './crypt-disk.ts';
import type { DiskTools } from './disk-tools.ts';
import type { DiskRoot } from './gone-revisions.ts';
import { createKeyQueue } from './key-queue.ts';
import { readMountTable } from './mount-table.ts';
import {
  devicePlace,
  diskMountPoint,
  formatRecord,
  openDisksPath,
  type Places,
  storageDisk,
  ZRAM_RECORD,
  zramRecord,
} from './places.ts';
import { closeSwap, isSwapOn, openFileSystem, openSwap } from './plain-disk.ts';
import { unmountOrDetach } from './root-mounts.ts';
import { StepFailure } from './step-failure.ts';
import { cgroupPrefix } from './tree-name.ts';
import { withUndo } from './undo-stack.ts';

export interface Disks {
  /**
   * Open already: untouched. Throws StepFailure that names the disk; what is open by then stays for `release`. Swap that cannot be had is
   * told to the log alone: nothing is kept in it.
   */
  open(container: string, disks: readonly Disk[]): Promise<void>;
  /** Closes what nobody else uses; never rejects, answers what did not work. `others`: disks of containers that are mounted. */
  release(container: string, disks: readonly Disk[], others: () => ReadonlySet<string>): Promise<readonly string[]>;
  isOpen(disk: Disk): boolean;
  /** Its folder for volumes; of the storage folder without one. */
  rootOf(disk: Disk | undefined): DiskRoot;
}

export interface DisksContext {
  readonly places: Places;
  readonly tools: DiskTools;
  readonly log: Logger;
}

export function createDisks({ places, tools, log }: DisksContext): Disks {
  const queue = createKeyQueue();
  /** Container → disks that it has opened or is opening. */
  const users = new Map<string, ReadonlySet<string>>();
  /** Swap that could not be turned on, by name: it is tried again once nobody uses it any more, or it is another. */
  const missing = new Map<string, Disk>();
  const placesOf = (disk: Disk) => diskPlaces(places, disk);

  const rootOf = (disk: Disk | undefined): DiskRoot => {
    if (disk === undefined) return { root: storageDisk(places), isOurs: true };
    if (disk.kind !== 'folder') return { root: diskMountPoint(places, disk.name), isOurs: !isDevice(disk) };
    // A folder with a path is where somebody may have mounted something.
    return disk.path === undefined
      ? { root: storageDisk(places), isOurs: true }
      : { root: devicePlace(places, disk.path), isOurs: false };
  };

  const isOpen = (disk: Disk): boolean => {
    const at = placesOf(disk);
    switch (disk.kind) {
      case 'folder':
        return false;
      case 'swap':
        return isSwapOn(disk.backing, at, tools);
      case 'fileSystem':
        return isMounted(at.mountPoint);
      case 'crypt':
        return isMounted(at.mountPoint) || existsSync(join(tools.mapper, at.mapping));
    }
  };

  const openOne = (disk: Disk): Promise<void> =>
    withUndo(
      async (undos) => {
        const at = placesOf(disk);
        switch (disk.kind) {
          case 'folder':
            return openFolder(disk, rootOf(disk).root);
          case 'swap':
            return openSwap(disk, at, tools, undos);
          case 'fileSystem':
            return isMounted(at.mountPoint) ? undefined : openFileSystem(disk, at, tools, undos);
          case 'crypt':
            return isMounted(at.mountPoint)
              ? undefined
              : openCryptDisk(disk, { ...at, image: devicePlace(places, disk.image) }, tools, undos);
        }
      },
      (left) => log.error(`disk ${disk.name}: undoing its opening: ${String(left)}`),
    );

  /** False: somebody holds what is on it, so it lives on. */
  const closeOne = async (disk: Exclude<Disk, { kind: 'folder' }>): Promise<boolean> => {
    const at = placesOf(disk);
    if (disk.kind === 'swap') return closeSwap(disk, at, tools);
    if (isMounted(at.mountPoint) && !(await unmountOrDetach(at.mountPoint))) {
      log.warn(`disk ${disk.name}: ${at.mountPoint} was busy and is detached; it ends with its last user`);
    }
    if (disk.kind === 'crypt') await unmapDisk(disk, { ...at, image: devicePlace(places, disk.image) }, tools);
    const isGone = disk.kind === 'crypt' || (await dropBacking(disk.backing, at.zramRecord, tools));
    removeFolder(at.mountPoint);
    return isGone;
  };

  const isUsed = (disk: string, others: () => ReadonlySet<string>): boolean =>
    [...users.values()].some((names) => names.has(disk)) || others().has(disk);

  /** Zram that lived on: its last user may be gone with this container, which need not know of the disk. */
  const closeHeld = async (others: () => ReadonlySet<string>): Promise<void> => {
    for (const name of zramDisks(places)) {
      await queue.run(name, async () => {
        if (isUsed(name, others)) return;
        try {
          if (await dropBacking({ kind: 'zram' }, zramRecord(places, name), tools)) log.info(`disk ${name} is closed`);
        } catch (error) {
          log.warn(`disk ${name}: ${reasonOf(error)}`);
        }
      });
    }
  };

  const release: Disks['release'] = async (container, disks, others) => {
    users.delete(container);
    const failures: string[] = [];
    for (const disk of disks) {
      await queue.run(disk.name, async () => {
        if (disk.kind === 'folder' || isUsed(disk.name, others)) return;
        missing.delete(disk.name);
        if (!isOpen(disk)) return;
        try {
          if (await closeOne(disk)) log.info(`disk ${disk.name} is closed`);
          else log.warn(`disk ${disk.name} is in use still; it ends when a container is stopped after its last user`);
        } catch (error) {
          failures.push(`disk ${disk.name}: ${reasonOf(error)}`);
        }
      });
    }
    await closeHeld(others);
    return failures;
  };

  return {
    rootOf,
    isOpen,
    release,
    async open(container, disks) {
      users.set(container, new Set(disks.map(({ name }) => name)));
      for (const disk of disks) {
        await queue.run(disk.name, async () => {
          if (isDeepStrictEqual(missing.get(disk.name), disk) || (disk.kind !== 'crypt' && isOpen(disk))) return;
          missing.delete(disk.name);
          try {
            await openOne(disk);
          } catch (error) {
            const reason = reasonOf(error);
            if (disk.kind !== 'swap') throw new StepFailure(`disk ${disk.name}`, reason);
            missing.set(disk.name, disk);
            log.error(`disk ${disk.name}: there is no swap on it: ${reason}`);
          }
        });
      }
    },
  };
}

function diskPlaces(places: Places, { name }: Disk): BackingPlaces & Omit<CryptPlaces, 'image'> {
  return {
    placeOf: (path) => devicePlace(places, path),
    zramRecord: zramRecord(places, name),
    formatRecord: formatRecord(places, name),
    mountPoint: diskMountPoint(places, name),
    mapping: `${cgroupPrefix(places.tree)}${name}`,
  };
}

/** Those that have a device. */
function zramDisks(places: Places): readonly string[] {
  const folder = openDisksPath(places);
  if (!existsSync(folder)) return [];
  const files = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isFile());
  return files.filter(({ name }) => name.endsWith(ZRAM_RECORD)).map(({ name }) => name.slice(0, -ZRAM_RECORD.length));
}

/** It may have been another machine's, as a card. Images are in this storage. */
function isDevice(disk: Exclude<Disk, { kind: 'folder' }>): boolean {
  return disk.kind !== 'crypt' && disk.backing.kind === 'device';
}

function isMounted(target: string): boolean {
  return readMountTable().some((each) => each.target === target);
}

/** Folders of the storage are made; others are where somebody mounts something, and without that they are not the disk. */
function openFolder({ name, path }: Extract<Disk, { kind: 'folder' }>, folder: string): void {
  if (path === undefined || path.startsWith('/storage/')) mkdirSync(folder, { recursive: true, mode: 0o755 });
  else if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new Error(`folder ${folder} of disk '${name}' is not there: mount it, or make it`);
  }
}

function removeFolder(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // Not there, or still mounted.
  }
}
