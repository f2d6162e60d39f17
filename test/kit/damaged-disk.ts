// A disk on which files are damaged: an ext4 file system in a file, whose inodes have checksums that do not fit. What looks at one of
// these files is told EBADMSG, as on a worn flash. For tests in a mount namespace of their own: with that the mount goes, and its loop device.
import { execFileSync, spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';

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
  execFileSync('mkfs.ext4', ['-q', '-O', 'metadata_csum', '-d', folder, image, SIZE]);
  for (const path of damaged)
    execFileSync('debugfs', ['-w', '-R', `sif /${path} checksum ${WRONG_CHECKSUM}`, image], { stdio: 'ignore' });
}

/** Arguments of mount(8). The loop device goes with the last mount of it. */
export function mountArguments(image: string, place: string): readonly string[] {
  return ['-t', 'ext4', '-o', 'loop,errors=continue', image, place];
}
