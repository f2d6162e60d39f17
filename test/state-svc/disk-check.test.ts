import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkDisks } from '../../services/state-svc/disk-check.ts';
import type { Disk } from '../../shared/schema/storage.ts';

const folder: Disk = { kind: 'folder', name: 'data' };
const swap: Disk = { kind: 'swap', name: 'swap', backing: { kind: 'device', path: '/dev/sda2' } };
const ask = <T>(call: () => Promise<T>): Promise<T> => call();

describe('state.checkDisks', () => {
  it('asks nobody for a revision without disks', async () => {
    const lxc = { checkDisks: () => assert.fail('was asked') };
    assert.deepEqual(await checkDisks({ disks: [] }, { lxc }, ask), []);
  });

  it('makes a problem at its place of each disk that the machine cannot open', async () => {
    const lxc = {
      checkDisks: async ({ disks }: { disks: readonly Disk[] }) => {
        assert.deepEqual(disks, [folder, swap]);
        return { ok: true as const, value: { unavailable: [{ disk: 'swap', reason: 'the kernel has no swap' }] } };
      },
    };
    const disks = [
      { disk: folder, path: 'device.json.disks.0' },
      { disk: swap, path: 'disks.json.0' },
    ];
    const message = "disk 'swap' is not available on this device: the kernel has no swap";
    assert.deepEqual(await checkDisks({ disks }, { lxc }, ask), [
      { path: 'disks.json.0', code: 'DISK_UNAVAILABLE', message },
    ]);
  });
});
