// Which links stand in the way of mount points: those that are there by the time an entry is mounted.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { withMountPoints } from '../../services/lxc-svc/mount-targets.ts';

describe('lxc-svc.withMountPoints', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-targets-'));
    mkdirSync(join(folder, 'rootfs/data'), { recursive: true });
    mkdirSync(join(folder, 'lxc/web/volumes/data'), { recursive: true });
    for (const name of ['data/sub', 'dev', 'proc', 'sys']) symlinkSync('/tmp', join(folder, 'rootfs', name));
  });
  after(() => rmSync(folder, { recursive: true }));

  const kept = (...lines: readonly (readonly [key: string, value: string])[]): readonly string[] => {
    const entries = lines.map(([key, value]) => ({ key, value, source: 'lxc.container.conf', line: 1 }));
    return withMountPoints(join(folder, 'rootfs'), entries).map(({ value }) => value);
  };
  const into = (target: string) => ['lxc.mount.entry', `tmpfs ${target} tmpfs create=dir,optional 0 0`] as const;
  const volume = () => ['lxc.mount.entry', `${folder}/lxc/web/volumes/data data none bind 0 0`] as const;

  it('are none of those that something is mounted over before', () => {
    assert.deepEqual(kept(into('data/sub/x')), []);
    assert.equal(kept(volume(), into('data/sub/x')).length, 2);
  });

  it('are those again where the mounts before are taken back', () => {
    const cleared = ['lxc.mount.entry', ''] as const;
    assert.deepEqual(kept(volume(), cleared, into('data/sub/x')), [volume()[1], '']);
  });

  it('are none below what LXC mounts itself', () => {
    const auto = ['lxc.mount.auto', 'proc:mixed sys:ro'] as const;
    assert.deepEqual(kept(into('proc/x'), into('sys/x')), []);
    assert.equal(kept(auto, into('proc/x'), into('sys/x'), into('dev/x')).length, 4);
    assert.equal(kept(auto, ['lxc.mount.entry', ''], into('proc/x')).length, 3);
    assert.deepEqual(kept(['lxc.autodev', '0'], into('dev/x')), ['0']);
  });
});
