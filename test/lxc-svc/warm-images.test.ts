// What is kept of an image that is unmounted: the file system lives, its place is free, and a moment later it is gone.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type Mount, mountsBelow, readMountTable } from '../../services/lxc-svc/mount-table.ts';
import { mountSquashfs } from '../../services/lxc-svc/root-mounts.ts';
import { createWarmImages } from '../../services/lxc-svc/warm-images.ts';
import { createSharedLoopDevices } from '../../shared/kernel/loop-device.ts';
import { unmount } from '../../shared/kernel/mount.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';

reexecInNamespaces(import.meta.filename);

let folder = '';
let image = '';
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'berth-warm-'));
  image = join(folder, 'image.squashfs');
  mkdirSync(join(folder, 'content'));
  writeFileSync(join(folder, 'content/file'), 'text');
  execFileSync('mksquashfs', [join(folder, 'content'), image, '-quiet', '-no-progress'], { stdio: 'ignore' });
});
after(() => {
  for (const { target } of mountsBelow(readMountTable(), folder).reverse()) unmount(target, true);
  rmSync(folder, { recursive: true, force: true });
});

const devicesOf = (file: string): string =>
  execFileSync('losetup', ['--noheadings', '--output', 'NAME', '--associated', file], { encoding: 'utf8' }).trim();

describe('images of containers that were unmounted', () => {
  const attach = createSharedLoopDevices();
  const mountIt = (): readonly Mount[] => {
    mountSquashfs(image, join(folder, 'root'), attach);
    return mountsBelow(readMountTable(), join(folder, 'root'));
  };

  it('are mounted nowhere and keep their device, which the next mount finds, and are let go of', async () => {
    const mounts = mountIt();
    const device = mounts[0]?.source ?? '';
    createWarmImages().keep(mounts);
    unmount(join(folder, 'root'));
    assert.deepEqual(mountsBelow(readMountTable(), folder), []);
    // In the same turn of the event loop: its time cannot run out.
    assert.equal(devicesOf(image), device);
    assert.equal(mountIt()[0]?.source, device);
    assert.equal(readFileSync(join(folder, 'root/file'), 'utf8'), 'text');
    unmount(join(folder, 'root'));
    await eventually('its device is free', PATIENCE_MS, () => devicesOf(image) === '');
  });

  it('are let go of at once where nobody keeps them', async () => {
    mountIt();
    unmount(join(folder, 'root'));
    await eventually('its device is free', PATIENCE_MS, () => devicesOf(image) === '');
  });
});
