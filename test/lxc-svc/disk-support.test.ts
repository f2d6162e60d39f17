// What kinds of disks a machine cannot have, and why.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type DiskSupport, unavailable } from '../../services/lxc-svc/disk-support.ts';
import type { Disk } from '../../shared/schema/storage.ts';
import { CRYPT, IMAGE, SWAP } from './sample-disks.ts';

describe('what a machine lacks for a disk', () => {
  const all: DiskSupport = { hasProgram: () => true, hasDeviceMapper: true, hasSwap: true, hasZram: true };
  const zram: Disk = { kind: 'swap', name: 'z', backing: { kind: 'zram', settings: [['disksize', '4M']] } };

  it('is named per disk', () => {
    for (const disk of [CRYPT, SWAP, IMAGE, zram]) assert.deepEqual(unavailable(disk, all), []);
    const reason = (disk: Disk, host: Partial<DiskSupport>) => unavailable(disk, { ...all, ...host })[0]?.reason;
    assert.match(reason(CRYPT, { hasDeviceMapper: false }) ?? '', /no device-mapper/);
    assert.equal(reason(CRYPT, { hasProgram: (name) => name !== 'cryptsetup' }), 'cryptsetup not installed');
    assert.match(reason(SWAP, { hasSwap: false }) ?? '', /no swap/);
    assert.match(reason(zram, { hasZram: false }) ?? '', /no zram/);
    assert.equal(
      reason({ ...CRYPT, keySource: 'caam-tagged' }, { hasProgram: () => false })?.includes('caam-keygen'),
      true,
    );
    assert.equal(reason({ kind: 'folder', name: 'f' }, { hasProgram: () => false, hasDeviceMapper: false }), undefined);
  });
});
