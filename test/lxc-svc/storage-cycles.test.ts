// A container with everything that can be mounted for one: over many cycles, over kills in the middle, and where paths are odd.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, cpSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { isAlive } from '../../services/lxc-svc/process-table.ts';
import { StepFailure } from '../../services/lxc-svc/step-failure.ts';
import type { Disk } from '../../shared/schema/storage.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { openDiskRig } from './disk-rig.ts';
import { makeContainer, mountOf, mountsOfOurs, openRig, type Rig, RUNDIR, STORAGE, startOf, traces } from './rig.ts';

reexecInNamespaces(import.meta.filename);

const IMAGE: Disk = {
  kind: 'fileSystem',
  name: 'data',
  format: 'ext4',
  backing: { kind: 'file', path: '/storage/images/data.img', mebibytes: 2 },
};
const CRYPT: Disk = {
  kind: 'crypt',
  name: 'secret',
  keySource: 'file',
  key: 'key1',
  image: '/storage/crypt/disk1.img',
  mebibytes: 2,
};

/** All kinds of volumes, the image's disk, exports and a file of the state. */
function makeEverything(name: string): void {
  makeContainer(name, 'deaf', `lxc.mount.entry = /volumes/${name}/good data none bind,create=dir 0 0`);
  const trail = join(STORAGE, 'trails/0');
  cpSync(join(trail, name, 'root.squashfs'), join(trail, name, 'extra.squashfs'));
  mkdirSync(join(trail, '_config', name, 'etc'), { recursive: true });
  writeFileSync(join(trail, '_config', name, 'etc/motd'), 'from the state\n');
  mkdirSync(join(trail, '.pvr'), { recursive: true });
  const state = { '#spec': 'pantavisor-service-system@1', [`_config/${name}/etc/motd`]: 'a'.repeat(64) };
  writeFileSync(join(trail, '.pvr/json'), JSON.stringify(state));
}

function everything(container: string, ...more: readonly Disk[]) {
  const on = [IMAGE, ...more].map(({ name }) => ({ name: `on-${name}`, persistence: 'revision' as const, disk: name }));
  return {
    ...mountOf(container),
    squashfs: ['extra.squashfs'],
    volumes: [
      ...mountOf(container, 'boot').volumes,
      { name: 'good', persistence: 'permanent' as const },
      { name: 'tmp', persistence: 'boot' as const },
      ...on,
    ],
    disks: [IMAGE, ...more],
    exports: ['data', 'etc/motd', 'bin'],
  };
}

const recordOf = ({ container: _container, ...record }: ReturnType<typeof everything>) => record;

describe('a container with everything', () => {
  it('leaves nothing over 100 cycles of mounting and unmounting', async () => {
    makeEverything('cycles');
    const rig = openDiskRig();
    const clean = traces();
    const wanted = everything('cycles', CRYPT);
    const cycle = async (look: boolean) => {
      const rootfs = await rig.mounts.mount('cycles', recordOf(wanted));
      assert.equal(readFileSync(join(rootfs, 'etc/motd'), 'utf8'), 'from the state\n');
      const mounted = look ? traces() : clean;
      await rig.mounts.unmount('cycles');
      if (look) assert.deepEqual(traces(), clean);
      return mounted;
    };
    const first = await cycle(true);
    // Looking takes longer than a cycle, and what is left once is left.
    for (let round = 1; round < 99; round += 1) await cycle(false);
    assert.deepEqual(await cycle(true), first);
    // root, extra, overlay, five volumes, two disks, three exports
    assert.deepEqual(first, { ...clean, mounts: clean.mounts + 13, loops: clean.loops + 4 });
    assert.deepEqual(readdirSync(join(RUNDIR, 'disks')), []);
    assert.deepEqual(readdirSync(join(RUNDIR, 'lxc/cycles')).sort(), ['logs', 'mount.json']);
    assert.deepEqual(rig.warnings, []);
  });

  it('is detached where it is busy, which is told', async () => {
    const rig = openDiskRig();
    const clean = traces();
    await rig.mounts.mount('cycles', recordOf(everything('cycles')));
    const held = openSync(join(RUNDIR, 'lxc/cycles/volumes/good'), 'r');
    assert.deepEqual(await rig.mounts.unmount('cycles'), [join(RUNDIR, 'lxc/cycles/volumes/good')]);
    assert.match(rig.warnings.join(), /volumes\/good was busy and is detached/);
    closeSync(held);
    assert.deepEqual(traces(), clean);
  });
});

describe('log-svc', () => {
  it('is told of an unmount where something was mounted, though a disk is open for others', async () => {
    for (const name of ['shares', 'others']) makeEverything(name);
    const clean = traces();
    const rig = openDiskRig();
    for (const name of ['shares', 'others']) await rig.mounts.mount(name, recordOf(everything(name)));
    for (let round = 0; round < 3; round += 1) await rig.mounts.unmount('shares');
    await rig.mounts.mount('shares', recordOf(everything('shares')));
    for (const name of ['shares', 'others', 'shares']) await rig.mounts.unmount(name);
    const shares = ['mounted shares', 'unmounted shares'];
    assert.deepEqual(rig.told, ['mounted shares', 'mounted others', 'unmounted shares', ...shares, 'unmounted others']);
    assert.equal(rig.infos.filter((line) => line === 'unmounted shares').length, 2);
    assert.deepEqual(traces(), clean);
  });
});

describe('odd paths', () => {
  it('are nothing to volumes, layers and exports', async () => {
    const odd = { rundir: '/run/a,b:c\\d e', storage: '/run/s,t:u\\v w' };
    makeEverything('odd');
    const clean = traces();
    mkdirSync(odd.rundir);
    cpSync(STORAGE, odd.storage, { recursive: true });
    const rig = openDiskRig(odd);
    const extra = { name: 'v,w:x\\y z', persistence: 'permanent' as const };
    const wanted = recordOf(everything('odd'));
    const rootfs = await rig.mounts.mount('odd', { ...wanted, volumes: [...wanted.volumes, extra] });
    writeFileSync(join(rootfs, 'etc/new'), 'x');
    assert.equal(readFileSync(join(rootfs, 'etc/motd'), 'utf8'), 'from the state\n');
    assert.ok(existsSync(join(odd.rundir, 'exports/odd/etc/motd')));
    assert.ok(existsSync(join(odd.storage, 'disks/permanent/odd', extra.name)));
    await rig.mounts.unmount('odd');
    assert.equal(traces().mounts, clean.mounts);
  });

  it('that are too long for the kernel are refused with the way out', async () => {
    const long = { rundir: `/run/${'l'.repeat(200)}/${'m'.repeat(200)}`, storage: STORAGE };
    mkdirSync(join(long.rundir, 'lxc'), { recursive: true });
    makeContainer('long', 'deaf');
    const files = Array.from({ length: 9 }, (_, index) => `layer${index}.squashfs`);
    for (const file of files)
      cpSync(join(STORAGE, 'trails/0/long/root.squashfs'), join(STORAGE, 'trails/0/long', file));
    const config = join(STORAGE, 'trails/0/long/lxc.container.conf');
    const layers = ['root.squashfs', ...files].map((file) => `/volumes/long/${file}`).join(':');
    const text = readFileSync(config, 'utf8').replace('/volumes/long/root.squashfs', layers);
    writeFileSync(config, text);
    const clean = traces();
    const rig = openDiskRig(long);
    const { container: _container, ...wanted } = { ...mountOf('long'), squashfs: files };
    await assert.rejects(rig.mounts.mount('long', wanted), (error: unknown) => {
      assert.ok(error instanceof StepFailure && error.step === 'overlay', String(error));
      assert.match(error.reason, /^10 layers take \d+ bytes, the kernel 4095 at most: .* --rundir$/);
      return true;
    });
    assert.deepEqual(traces(), clean);
  });
});

describe('lxc-svc killed in the middle', () => {
  let rig: Rig;
  before(async () => {
    rig = await openRig();
    await rig.spawn();
  });
  after(async () => {
    await rig.close();
  });

  const value: Rig['value'] = (answer) => rig.value(answer);

  const spin = (ms: number): void => {
    const until = performance.now() + ms;
    while (performance.now() < until) readFileSync('/proc/self/stat');
  };

  it('of mounting goes on with the next service, and leaves nothing', async () => {
    makeEverything('torn');
    const clean = traces();
    for (let round = 0; round < 6; round += 1) {
      // From nothing each time: making the disk's image is part of what is torn.
      execFileSync('rm', ['-rf', join(STORAGE, 'images')]);
      const record = join(RUNDIR, 'lxc/torn/mount.json');
      execFileSync('rm', ['-f', record]);
      const mounted = rig.lxc.mount(everything('torn'));
      await eventually('its mounting began', PATIENCE_MS, () => existsSync(record));
      spin(round * 10);
      await rig.kill();
      await rig.spawn();
      value(await mounted);
      const before = traces();
      const { pid } = value(await rig.lxc.start(startOf('torn')));
      assert.ok(pid > 1);
      value(await rig.lxc.stop({ container: 'torn', graceMs: 0 }));
      assert.deepEqual({ ...traces(), cgroups: 0 }, { ...before, cgroups: 0 });
      value(await rig.lxc.unmount({ container: 'torn' }));
      assert.deepEqual(traces(), clean, `round ${round}`);
    }
  });

  it('of formatting takes that with it, so that the next service alone writes to the disk', async () => {
    makeEverything('formats');
    const clean = traces();
    execFileSync('rm', ['-rf', join(STORAGE, 'images')]);
    const held = '/run/held-mkfs';
    const real = execFileSync('sh', ['-c', 'command -v mkfs.ext4'], { encoding: 'utf8' }).trim();
    // First in the path of every command that Berth runs, and private to this test.
    execFileSync('mount', ['-t', 'tmpfs', 'berth-test', '/usr/local/sbin']);
    try {
      const text = `[ ! -e ${held} ] || exec ${real} "$@"\necho $$ >${held}.new && mv ${held}.new ${held} && exec sleep 1000\n`;
      writeFileSync('/usr/local/sbin/mkfs.ext4', `#!/bin/sh\n${text}`, { mode: 0o755 });
      const mounted = rig.lxc.mount(everything('formats'));
      await eventually('it is being formatted', PATIENCE_MS, () => existsSync(held));
      await rig.kill();
      await eventually('mkfs has ended', PATIENCE_MS, () => !isAlive(Number(readFileSync(held, 'utf8'))));
      await rig.spawn();
      value(await mounted);
      value(await rig.lxc.unmount({ container: 'formats' }));
      assert.deepEqual(traces(), clean);
    } finally {
      execFileSync('umount', ['/usr/local/sbin']);
    }
  });

  it('of unmounting is finished by the next service', async () => {
    const clean = traces();
    for (let round = 0; round < 4; round += 1) {
      value(await rig.lxc.mount(everything('torn')));
      const before = mountsOfOurs();
      const unmounted = rig.lxc.unmount({ container: 'torn' });
      await eventually('its unmounting began', PATIENCE_MS, () => mountsOfOurs() < before);
      spin(round);
      await rig.kill();
      await rig.spawn();
      value(await unmounted);
      assert.deepEqual(traces(), clean, `round ${round}`);
    }
  });
});
