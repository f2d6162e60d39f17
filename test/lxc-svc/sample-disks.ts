// One disk of each kind that has to be made.
import type { Disk } from '../../shared/schema/storage.ts';

export const CRYPT = {
  kind: 'crypt',
  name: 'secret',
  keySource: 'file',
  key: 'key1',
  image: '/storage/crypt/disk1.img',
  mebibytes: 2,
} satisfies Disk;
export const SWAP = {
  kind: 'swap',
  name: 'swap',
  backing: { kind: 'file', path: '/storage/swap/file', mebibytes: 1 },
} satisfies Disk;
export const IMAGE = {
  kind: 'fileSystem',
  name: 'data',
  format: 'ext4',
  backing: { kind: 'file', path: '/storage/images/data.img', mebibytes: 2 },
} satisfies Disk;
export const ZRAM = {
  kind: 'fileSystem',
  name: 'fast',
  format: 'ext4',
  backing: { kind: 'zram', settings: [['disksize', '8M']] },
} satisfies Disk;
