// A disk on which files are damaged: an ext4 file system in a file, whose inodes have checksums that do not fit. What looks at one of
// these files is told EBADMSG, as on a worn flash. For tests in a mount namespace of their own: with that the mount goes, and its loop device.
import { execFileSync, spawnSync } from 'node:child_process';
import { rmSync, truncateSync } from 'node:fs';

/** False, with the reason: this machine has nothing to make or damage ext4 with. For the option `skip` of a test. */
export const CANNOT_DAMAGE: string | false = ['mkfs.ext4', 'debugfs'].every(
  (tool) => spawnSync(tool, ['-V'], { stdio: 'ignore' }).error === undefined,
)
  ? false
  : 'no mkfs.ext4 or debugfs (e2fsprogs)';

const WRONG_CHECKSUM = '0x12345678';
const SIZE = '16M';

/** The file `image`, made here, holds what is in `folder`, of which the `damaged`, paths below it, cannot be looked at. */
export function makeDamagedDisk(image: string, folder: string, damaged: readonly string[]): void {
  rmSync(image, { force: true });
  execFileSync('mkfs.ext4', ['-q', '-b', '1024', '-O', 'metadata_csum,^has_journal', '-d', folder, image, SIZE]);
  for (const path of damaged) damageMore(image, path);
}

/** Of a disk that is not mounted: this one cannot be looked at, either. Nothing where it is not there. */
export function damageMore(image: string, path: string): void {
  execFileSync('debugfs', ['-w', '-R', `sif /${path} checksum ${WRONG_CHECKSUM}`, image], { stdio: 'ignore' });
}

/** Arguments of mount(8). The loop device goes with the last mount of it. */
export function mountArguments(image: string, place: string): readonly string[] {
  return ['-t', 'ext4', '-o', 'loop,errors=continue', image, place];
}

/**
 * Of a mounted disk whose file system has no journal: from the n-th 1024 bytes of `path` on, counted from 0, nothing that lies behind on the
 * disk can be read (EIO), unless the kernel has read it before.
 */
export function cutDisk(image: string, path: string, n: number): void {
  const blocks = execFileSync('debugfs', ['-R', `blocks /${path}`, image], { stdio: ['ignore', 'pipe', 'ignore'] });
  truncateSync(image, Number(blocks.toString().trim().split(/\s+/)[n]) * 1024);
}

/** What fsck(8) gives back of a disk that is not mounted: inodes whose checksums alone are wrong. */
export function repairDisk(image: string): void {
  const { status } = spawnSync('e2fsck', ['-fy', image], { stdio: 'ignore' });
  // 1: errors, and all of them are corrected.
  if (status !== 0 && status !== 1) throw new Error(`e2fsck ended with ${status}`);
}
