// Extensions: containers whose root lies over a volume of another one, which is mounted for each of them.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, linkSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { makeContainer, mountOf, openRig, type Rig, RUNDIR, STORAGE, startOf, traces } from './rig.ts';

reexecInNamespaces(import.meta.filename);

let rig: Rig;
before(async () => {
  rig = await openRig();
  await rig.spawn();
});
after(async () => {
  await rig.close();
});

const TRAIL = join(STORAGE, 'trails/0');
const rootfsOf = (container: string, path: string): string => join(RUNDIR, 'lxc', container, 'rootfs', path);

/** Its own squashfs has a file of its own, and one in the place of the base's. */
function makeExtension(name: string, base: string): void {
  makeContainer(base, 'obedient');
  makeContainer(name, 'obedient');
  const folder = mkdtempSync('/run/extension-');
  mkdirSync(join(folder, 'etc'));
  mkdirSync(join(folder, 'bin'));
  writeFileSync(join(folder, 'etc/above'), `of ${name}\n`);
  writeFileSync(join(folder, 'bin/app-exit7'), `of ${name}\n`);
  const overlay = join(TRAIL, name, 'root.ovl.squashfs');
  execFileSync('mksquashfs', [folder, overlay, '-quiet', '-no-progress', '-noappend'], { stdio: 'ignore' });
  rmSync(folder, { recursive: true });
  rmSync(join(TRAIL, name, 'root.squashfs'));
  const config = join(TRAIL, name, 'lxc.container.conf');
  const layers = `/volumes/${name}/root.ovl.squashfs:/volumes/${base}/root.squashfs`;
  const line = `lxc.rootfs.path = overlayfs:${layers}:/volumes/${name}/lxc-overlay/upper`;
  writeFileSync(config, readFileSync(config, 'utf8').replace(/^lxc\.rootfs\.path.*$/m, line));
}

const extensionOf = (name: string, base: string) => ({
  ...mountOf(name, 'boot'),
  rootVolume: 'root.ovl.squashfs',
  bases: [{ container: base, file: 'root.squashfs' }],
});

describe('an extension of a container', () => {
  it('has the files of both, and runs on when its base is gone, as that does without it', async () => {
    makeExtension('skill', 'voice');
    const clean = traces();
    for (const wanted of [mountOf('voice', 'boot'), extensionOf('skill', 'voice')]) {
      rig.value(await rig.lxc.mount(wanted));
      rig.value(await rig.lxc.start(startOf(wanted.container)));
    }
    assert.equal(readFileSync(rootfsOf('skill', 'etc/above'), 'utf8'), 'of skill\n');
    assert.equal(readFileSync(rootfsOf('skill', 'bin/app-exit7'), 'utf8'), 'of skill\n');
    assert.match(readFileSync(rootfsOf('skill', 'bin/app-look'), 'utf8'), /^#!\/bin\/sh\n/);
    assert.equal(existsSync(rootfsOf('voice', 'etc/above')), false);
    // One image is one device.
    assert.equal(traces().loops, clean.loops + 2);
    for (const [first, other] of [
      ['voice', 'skill'],
      ['skill', 'voice'],
    ] as const) {
      rig.value(await rig.lxc.stop({ container: first, graceMs: 0 }));
      assert.deepEqual(rig.value(await rig.lxc.unmount({ container: first })), {});
      assert.match(readFileSync(rootfsOf(other, 'bin/app-reboot'), 'utf8'), /^#!/);
      rig.value(await rig.lxc.mount(first === 'skill' ? extensionOf('skill', 'voice') : mountOf('voice', 'boot')));
      rig.value(await rig.lxc.start(startOf(first)));
    }
    for (const container of ['voice', 'skill']) {
      rig.value(await rig.lxc.stop({ container, graceMs: 0 }));
      rig.value(await rig.lxc.unmount({ container }));
    }
    assert.deepEqual(traces(), clean);
    assert.equal(existsSync(join(RUNDIR, 'lxc/skill/bases')), false);
  });

  it('lies over all volumes of its base that its root names', async () => {
    makeExtension('tall', 'wide');
    const folder = mkdtempSync('/run/between-');
    writeFileSync(join(folder, 'between'), 'of wide\n');
    const between = join(TRAIL, 'wide/between.squashfs');
    execFileSync('mksquashfs', [folder, between, '-quiet', '-no-progress', '-noappend'], { stdio: 'ignore' });
    rmSync(folder, { recursive: true });
    const config = join(TRAIL, 'tall/lxc.container.conf');
    const inOrder = ':/volumes/wide/between.squashfs:/volumes/wide/root.squashfs:';
    writeFileSync(config, readFileSync(config, 'utf8').replace(':/volumes/wide/root.squashfs:', inOrder));
    const wanted = extensionOf('tall', 'wide');
    const bases = [{ container: 'wide', file: 'between.squashfs' }, ...wanted.bases];
    rig.value(await rig.lxc.mount({ ...wanted, bases }));
    assert.equal(readFileSync(rootfsOf('tall', 'between'), 'utf8'), 'of wide\n');
    assert.match(readFileSync(rootfsOf('tall', 'bin/app-look'), 'utf8'), /^#!\/bin\/sh\n/);
    rig.value(await rig.lxc.unmount({ container: 'tall' }));
  });

  it('has a volume of which another is a copy, as packers link equal files, once', async () => {
    makeExtension('twin', 'copied');
    const [first, again] = [join(TRAIL, 'twin/root.ovl.squashfs'), join(TRAIL, 'twin/again.squashfs')];
    linkSync(first, again);
    const config = join(TRAIL, 'twin/lxc.container.conf');
    const twice = '/volumes/copied/root.squashfs:/volumes/twin/again.squashfs:/volumes/twin/lxc-overlay';
    const line = readFileSync(config, 'utf8').replace('/volumes/copied/root.squashfs:/volumes/twin/lxc-overlay', twice);
    writeFileSync(config, line);
    rig.value(await rig.lxc.mount({ ...extensionOf('twin', 'copied'), squashfs: ['again.squashfs'] }));
    assert.equal(readFileSync(rootfsOf('twin', 'bin/app-exit7'), 'utf8'), 'of twin\n');
    assert.match(readFileSync(rootfsOf('twin', 'bin/app-look'), 'utf8'), /^#!\/bin\/sh\n/);
    rig.value(await rig.lxc.unmount({ container: 'twin' }));
  });

  it('is mounted without its base being so, and taken over by the next service', async () => {
    makeExtension('taken', 'unused');
    const clean = traces();
    const wanted = extensionOf('taken', 'unused');
    rig.value(await rig.lxc.mount(wanted));
    const { pid } = rig.value(await rig.lxc.start(startOf('taken')));
    await rig.kill();
    await rig.spawn();
    rig.value(await rig.lxc.mount(wanted));
    assert.equal(rig.value(await rig.lxc.start(startOf('taken'))).pid, pid);
    const answer = await rig.lxc.mount({ ...wanted, bases: [] });
    assert.ok(!answer.ok, 'it runs, and is mounted otherwise');
    rig.value(await rig.lxc.stop({ container: 'taken', graceMs: 0 }));
    rig.value(await rig.lxc.unmount({ container: 'taken' }));
    assert.deepEqual(traces(), clean);
  });

  it('is not mounted any more when that of its base is gone, and is mounted anew', async () => {
    makeExtension('holes', 'whole');
    const clean = traces();
    const wanted = extensionOf('holes', 'whole');
    rig.value(await rig.lxc.mount(wanted));
    const before = traces();
    execFileSync('umount', ['--lazy', join(RUNDIR, 'lxc/holes/bases/whole/root.squashfs')]);
    const { containers } = rig.value(await rig.lxc.listContainers({}));
    assert.equal(containers.find(({ container }) => container === 'holes')?.mounted, false);
    rig.value(await rig.lxc.mount(wanted));
    assert.deepEqual(traces(), before);
    rig.value(await rig.lxc.unmount({ container: 'holes' }));
    assert.deepEqual(traces(), clean);
  });

  it('names its base where that cannot be mounted, or is not to be, and nothing is left', async () => {
    makeExtension('broken', 'lost');
    const clean = traces();
    const image = join(TRAIL, 'lost/root.squashfs');
    renameSync(image, `${image}.away`);
    const lost = await rig.lxc.mount(extensionOf('broken', 'lost'));
    assert.ok(!lost.ok && lost.error.code === 'MOUNT_FAILED');
    assert.equal(lost.error.step, 'base lost/root.squashfs');
    renameSync(`${image}.away`, image);
    const unasked = await rig.lxc.mount({ ...extensionOf('broken', 'lost'), bases: [] });
    assert.ok(!unasked.ok && unasked.error.code === 'CONFIG_INVALID');
    assert.match(unasked.error.reason, /broken is an extension of 'lost'/);
    assert.deepEqual(traces(), clean);
    assert.equal(existsSync(join(RUNDIR, 'lxc/broken/bases')), false);
  });
});

describe('a mount record of the build before', () => {
  it('is that of a container without a base', async () => {
    makeContainer('older', 'obedient');
    rig.value(await rig.lxc.mount(mountOf('older', 'boot')));
    const { pid } = rig.value(await rig.lxc.start(startOf('older')));
    await rig.kill();
    const record = join(RUNDIR, 'lxc/older/mount.json');
    const { bases, ...written } = JSON.parse(readFileSync(record, 'utf8'));
    assert.deepEqual(bases, []);
    writeFileSync(record, JSON.stringify(written));
    await rig.spawn();
    rig.value(await rig.lxc.mount(mountOf('older', 'boot')));
    assert.equal(rig.value(await rig.lxc.start(startOf('older'))).pid, pid);
    rig.value(await rig.lxc.stop({ container: 'older', graceMs: 0 }));
    rig.value(await rig.lxc.unmount({ container: 'older' }));
  });
});
