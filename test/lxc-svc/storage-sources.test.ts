import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { withStorageSources } from '../../services/lxc-svc/storage-sources.ts';

const PLACES = { rundir: '/run/berth', storage: '/var/storage', tree: '0' };

function sourceOf(source: string, options = 'bind', key = 'lxc.mount.entry'): string | undefined {
  const [entry] = withStorageSources([{ key, value: `${source} x none ${options} 0 0` }], PLACES);
  return entry?.value.split(' ')[0];
}

describe('lxc-svc.storageSources', () => {
  it('are in the storage folder, and the rest of the line is as it was', () => {
    assert.equal(sourceOf('/storage'), '/var/storage');
    assert.equal(sourceOf('/storage/'), '/var/storage');
    assert.equal(sourceOf('/storage//cache/./a\\040b'), '/var/storage/cache/a\\040b');
    const line = { key: 'lxc.mount.entry', value: '/storage storage none bind,rw,create=dir 0 0', line: 3 };
    assert.deepEqual(withStorageSources([line], PLACES), [
      { ...line, value: '/var/storage storage none bind,rw,create=dir 0 0' },
    ]);
  });

  it('are not what only looks like it, leads out of it, or is the container’s', () => {
    for (const source of ['/storages', '/storage.old/x', 'storage', '/mnt/storage', '/storage/../etc', '//storage'])
      assert.equal(sourceOf(source), source);
    assert.equal(sourceOf('/storage', 'bind,relative'), '/storage');
    assert.equal(sourceOf('/storage', 'bind', 'lxc.environment'), '/storage');
  });
});
