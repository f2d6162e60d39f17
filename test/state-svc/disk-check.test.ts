import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkDisks } from '../../services/state-svc/disk-check.ts';
import type { PlacedDisk, Revision } from '../../shared/revision/revision.ts';
import type { Disk } from '../../shared/schema/storage.ts';
import { container, revisionOf, state } from '../revision/states.ts';

const folder: Disk = { kind: 'folder', name: 'data' };
const swap: Disk = { kind: 'swap', name: 'swap', backing: { kind: 'device', path: '/dev/sda2' } };
const PLACED: readonly PlacedDisk[] = [
  { disk: folder, path: 'device.json.disks.0' },
  { disk: swap, path: 'disks.json.0' },
];
/** Its container has volumes on `used`. */
function revisionWith(disks: readonly PlacedDisk[], used: readonly Disk[]): Pick<Revision, 'disks' | 'containers'> {
  const { containers } = revisionOf(state(container('a')));
  return { disks, containers: containers.map((plan) => ({ ...plan, storage: { ...plan.storage, disks: used } })) };
}
const ask = <T>(call: () => Promise<T>): Promise<T> => call();

describe('state.checkDisks', () => {
  it('asks nobody for a revision without disks, or with nothing on them', async () => {
    const lxc = { checkDisks: () => assert.fail('was asked') };
    for (const disks of [[], PLACED]) assert.deepEqual(await checkDisks(revisionWith(disks, []), { lxc }, ask), []);
  });

  it('makes a problem at its place of each disk in use that the machine cannot open', async () => {
    const lxc = {
      checkDisks: async ({ disks }: { disks: readonly Disk[] }) => {
        assert.deepEqual(disks, [folder, swap]);
        return { ok: true as const, value: { unavailable: [{ disk: 'swap', reason: 'the kernel has no swap' }] } };
      },
    };
    const unused: PlacedDisk = { disk: { ...folder, name: 'other' }, path: 'device.json.disks.1' };
    const message = "disk 'swap' is not available on this device: the kernel has no swap";
    assert.deepEqual(await checkDisks(revisionWith([...PLACED, unused], [folder, swap]), { lxc }, ask), [
      { path: 'disks.json.0', code: 'DISK_UNAVAILABLE', message },
    ]);
  });
});
