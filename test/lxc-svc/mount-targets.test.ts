// Which links stand in the way of mount points: those that are there by the time an entry is mounted.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
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
    return withMountPoints(join(folder, 'rootfs'), entries, ({ root, inside }) => `bound:${root}/${inside}`).map(
      ({ value }) => value,
    );
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
    for (const value of ['1', '0x1', '+0x1'])
      assert.equal(kept(['lxc.autodev', value], into('dev/x')).length, 2, value);
    for (const value of ['0', '00', '0x0', '+0', ''])
      assert.deepEqual(kept(['lxc.autodev', value], into('dev/x')), [value]);
  });

  it('leave LXC to make mount points in an empty tmpfs alone', () => {
    const made = (type: string) =>
      kept(['lxc.mount.entry', `/dev/sda1 mnt ${type} defaults,create=dir`], into('mnt/x'));
    assert.deepEqual(made('tmpfs'), ['/dev/sda1 mnt tmpfs defaults', into('mnt/x')[1]]);
    assert.deepEqual(made('ext4'), ['/dev/sda1 mnt ext4 defaults', 'tmpfs mnt/x tmpfs optional 0 0']);
    assert.ok(existsSync(join(folder, 'rootfs/mnt')) && !existsSync(join(folder, 'rootfs/mnt/x')));
    // LXC passes over it.
    assert.deepEqual(kept(into('/abs/x')), ['tmpfs /abs/x tmpfs optional 0 0']);
    assert.equal(existsSync(join(folder, 'rootfs/abs')), false);
  });

  it('are refused, or left out, where they lead out of the container or cannot be made', () => {
    const shown = ['lxc.mount.entry', `${folder}/lxc/web shown none bind,ro,create=dir 0 0`] as const;
    const refused = (target: string, why: RegExp) => {
      assert.deepEqual(kept(shown, into(target)).length, 1);
      const line = ['lxc.mount.entry', `tmpfs ${target} tmpfs create=dir 0 0`] as const;
      assert.throws(() => kept(shown, line), why);
    };
    refused('shown/none', /^Error: lxc.container.conf:1: \/shown\/none is no place to mount something: ENOENT/);
    refused('a/../../x', /is no place to mount something: it leads out of the container$/);
    assert.deepEqual(kept(shown, into('shown/./none/../volumes'))[1], 'tmpfs shown/volumes tmpfs optional 0 0');
    assert.deepEqual(readdirSync(join(folder, 'lxc/web')), ['volumes']);
  });
});
