// A storage folder on an ext4 file system of its own, whose power can go: what was not written by then is lost.
// <folder>/disk (the file system, in a file)  storage/ (where it is mounted)
import { type ExecFileSyncOptions, execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { eventually } from '../../test/kit/eventually.ts';

export interface StorageDisk {
  /** Where it is mounted. */
  readonly folder: string;
  /** As a device's init does it: the journal is replayed, all of it is checked, and then it is used. */
  mount(): void;
  /** What e2fsck found wrong when it was mounted. */
  damage(): string | undefined;
  /** At once, for everybody who has it open. */
  cut(): void;
  /** Takes it from here; who has it mounted elsewhere keeps it. */
  unmount(): void;
  /** Resolves when nobody has it any more. */
  released(): Promise<void>;
  remove(): void;
}

const BYTES = 384 * 2 ** 20;
const QUIET: ExecFileSyncOptions = { stdio: ['ignore', 'ignore', 'pipe'] };
const RELEASE_MS = 20_000;
const PROGRAMS = ['mkfs.ext4', 'e2fsck', 'perl', 'mount', 'losetup'];
/**
 * EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH (kernel: fs/ext4/ext4.h), made for this: nothing is written from now on, not the
 * journal either. Node has no ioctl(2).
 */
const SHUT_DOWN =
  'open(my $fs, "<", $ARGV[0]) or die "$!\\n"; my $flag = pack("L", 2); ioctl($fs, 0x8004587d, $flag) or die "$!\\n"';

/** Why this machine can have no such disk. */
export function lacksDisks(): string | undefined {
  if (process.getuid?.() !== 0) return 'only root mounts a disk that can be cut';
  const folders = (process.env.PATH ?? '').split(':');
  const missing = PROGRAMS.filter((name) => !folders.some((folder) => existsSync(join(folder, name))));
  if (missing.length > 0) return `a disk that can be cut needs ${missing.join(', ')}`;
  return /\text4$/m.test(readFileSync('/proc/filesystems', 'utf8')) ? undefined : 'this kernel has no ext4';
}

/** With what is in the folder `content`. */
export function createStorageDisk(content: string): StorageDisk {
  const parent = mkdtempSync(join(tmpdir(), 'berth-disk-'));
  const [disk, folder] = [join(parent, 'disk'), join(parent, 'storage')];
  writeFileSync(disk, '');
  truncateSync(disk, BYTES);
  execFileSync('mkfs.ext4', ['-q', '-F', '-E', 'root_owner=0:0', '-d', content, disk], QUIET);
  let found: string | undefined;
  const mount = (): void => {
    mkdirSync(folder, { recursive: true });
    execFileSync('mount', ['-t', 'ext4', '-o', 'loop', disk, folder], QUIET);
  };
  const unmount = (): void => {
    execFileSync('umount', ['--lazy', folder], QUIET);
  };
  return {
    folder,
    mount() {
      mount();
      execFileSync('umount', [folder], QUIET);
      const { status, stdout, stderr } = spawnSync('e2fsck', ['-f', '-n', disk], { encoding: 'utf8' });
      found = status === 0 ? undefined : `e2fsck ended with ${status}: ${stdout}${stderr}`;
      mount();
    },
    damage: () => found,
    cut() {
      execFileSync('perl', ['-e', SHUT_DOWN, folder], QUIET);
    },
    unmount,
    async released() {
      await eventually(
        `${disk} is no loop device’s any more`,
        RELEASE_MS,
        () => execFileSync('losetup', ['--associated', disk], { encoding: 'utf8' }) === '',
      );
    },
    remove: () => rmSync(parent, { recursive: true, force: true }),
  };
}
