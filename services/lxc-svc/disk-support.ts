// What this machine lacks for a disk, found out without touching it.
import { accessSync, constants, existsSync } from 'node:fs';
import { join } from 'node:path';
import { textIfThere } from '../../shared/kernel/text-if-there.ts';
import type { Disk } from '../../shared/schema/storage.ts';
import { PROGRAM_FOLDERS } from './host-support.ts';

export interface DiskSupport {
  readonly hasProgram: (name: string) => boolean;
  readonly hasDeviceMapper: boolean;
  readonly hasZram: boolean;
}

const PROGRAMS: Readonly<Record<Extract<Disk, { kind: 'crypt' }>['keySource'], readonly string[]>> = {
  file: ['cryptsetup'],
  'caam-trusted': ['dmsetup', 'keyctl'],
  'caam-tagged': ['dmsetup', 'keyctl', 'caam-keygen'],
  'dcp-trusted': ['dmsetup', 'keyctl'],
};

/** `cryptsetup`: its path, or its name. */
export function diskSupport(cryptsetup: string): DiskSupport {
  const isThere = (name: string): boolean =>
    name.startsWith('/') ? isExecutable(name) : PROGRAM_FOLDERS.some((folder) => isExecutable(join(folder, name)));
  return {
    hasProgram: (name) => isThere(name === 'cryptsetup' ? cryptsetup : name),
    hasDeviceMapper: existsSync('/dev/mapper/control') || textIfThere('/proc/misc').includes(' device-mapper\n'),
    // A module that is not loaded yet is loaded when it is used.
    hasZram: existsSync('/sys/class/zram-control') || hasModule('zram'),
  };
}

/** At most one: the first thing to do something about. */
export function unavailable(disk: Disk, host: DiskSupport): { readonly disk: string; readonly reason: string }[] {
  const reason = lacking(disk, host);
  return reason === undefined ? [] : [{ disk: disk.name, reason }];
}

function lacking(disk: Disk, host: DiskSupport): string | undefined {
  switch (disk.kind) {
    case 'folder':
    // Nothing is kept in it: containers go without, and the log says why.
    case 'swap':
      return undefined;
    case 'fileSystem':
      return lackingBacking(disk, host) ?? lackingProgram(['blkid', `mkfs.${disk.format}`], host);
    case 'crypt':
      if (!host.hasDeviceMapper) return 'the kernel has no device-mapper: load the module dm_mod (CONFIG_BLK_DEV_DM)';
      return lackingProgram([...PROGRAMS[disk.keySource], 'mkfs.ext4', 'fsck.ext4'], host);
  }
}

function lackingBacking({ backing }: Extract<Disk, { kind: 'fileSystem' }>, host: DiskSupport) {
  return backing.kind === 'zram' && !host.hasZram ? 'the kernel has no zram (CONFIG_ZRAM)' : undefined;
}

function lackingProgram(names: readonly string[], { hasProgram }: DiskSupport): string | undefined {
  const missing = names.filter((name) => !hasProgram(name));
  return missing.length === 0 ? undefined : `${missing.join(', ')} not installed`;
}

function hasModule(name: string): boolean {
  const release = textIfThere('/proc/sys/kernel/osrelease').trim();
  return textIfThere(join('/lib/modules', release, 'modules.dep')).includes(`/${name}.ko`);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
