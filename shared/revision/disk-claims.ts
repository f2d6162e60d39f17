// What disks must have for themselves: the device or image under them, and the key's files beside an image. Two that share it are made and
// written side by side, and what was on the first is lost. Pure.
import type { Disk } from '../schema/storage.ts';
import type { PlacedDisk, Problem } from './revision.ts';

/** Codes: DISK_SHARED, of the later one of two. */
export function checkApart(disks: readonly PlacedDisk[]): Problem[] {
  const owners = new Map<string, PlacedDisk>();
  return disks.flatMap((placed) => {
    const problems = claimsOf(placed.disk).flatMap(([what, claim]): Problem[] => {
      const owner = owners.get(claim);
      if (owner === undefined) {
        owners.set(claim, placed);
        return [];
      }
      const message = `has the ${what} of disk '${owner.disk.name}' (${owner.path}.path); give each disk one of its own`;
      return [{ path: `${placed.path}.path`, code: 'DISK_SHARED', message }];
    });
    // Once for a disk: who corrects the image corrects the path.
    return problems.slice(0, 1);
  });
}

/** What it is, and what no other has. Paths are written in one way only: they have no empty, `.` or `..` parts. */
function claimsOf(disk: Disk): readonly (readonly [what: string, claim: string])[] {
  switch (disk.kind) {
    case 'folder':
      return [];
    case 'fileSystem':
    case 'swap':
      return disk.backing.kind === 'zram'
        ? []
        : [[disk.backing.kind === 'file' ? 'image' : 'device', disk.backing.path]];
    case 'crypt': {
      const folder = disk.image.slice(0, disk.image.lastIndexOf('/'));
      // Wherever keys come from: `<key>.init_started` and `<key>.init_done` have one name.
      return [
        ['image', disk.image],
        ['key', `key ${folder}/${disk.key}`],
      ];
    }
  }
}
