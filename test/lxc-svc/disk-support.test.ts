// What kinds of disks a machine cannot have, and why.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type DiskSupport, unavailable } from '../../services/lxc-svc/disk-support.ts';
import type { Disk } from '../../shared/schema/storage.ts';
import { CRYPT, IMAGE, SWAP, ZRAM } from './sample-disks.ts';

describe('what a machine lacks for a disk', () => {
  const all: DiskSupport = { hasProgram: () => true, hasDeviceMapper: true, hasZram: true };

  it('is named per disk', () => {
    for (const disk of [CRYPT, SWAP, IMAGE, ZRAM]) assert.deepEqual(unavailable(disk, all), []);
    const reason = (disk: Disk, host: Partial<DiskSupport>) => unavailable(disk, { ...all, ...host })[0]?.reason;
    assert.match(reason(CRYPT, { hasDeviceMapper: false }) ?? '', /no device-mapper/);
    assert.equal(reason(CRYPT, { hasProgram: (name) => name !== 'cryptsetup' }), 'cryptsetup not installed');
    const zramSwap = { ...SWAP, backing: ZRAM.backing };
    assert.equal(reason(zramSwap, { hasProgram: () => false, hasZram: false }), undefined);
    assert.match(reason(ZRAM, { hasZram: false }) ?? '', /no zram/);
    assert.equal(
      reason({ ...CRYPT, keySource: 'caam-tagged' }, { hasProgram: () => false })?.includes('caam-keygen'),
      true,
    );
    assert.equal(reason({ kind: 'folder', name: 'f' }, { hasProgram: () => false, hasDeviceMapper: false }), undefined);
  });
});
