// Disks under the volumes of containers: made once, opened with the first container and closed with the last, and nothing of them is ever
// lost by a mistake.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, before, beforeEach, describe, it } from 'node:test';
import { StepFailure } from '../../services/lxc-svc/step-failure.ts';
import type { Disk } from '../../shared/schema/storage.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { type DiskRig, openDiskRig } from './disk-rig.ts';
import { makeContainer, mountOf, RUNDIR, STORAGE, traces } from './rig.ts';
import { CRYPT, IMAGE, SWAP, ZRAM } from './sample-disks.ts';

reexecInNamespaces(import.meta.filename);

const CRYPT_FOLDER = join(STORAGE, 'crypt');
const OPEN = ['cryptsetup open', 'mkfs.ext4'];

let rig: DiskRig;
let clean: ReturnType<typeof traces>;
before(() => {
  for (const name of ['one', 'two']) makeContainer(name, 'deaf');
});
beforeEach(() => {
  for (const folder of ['crypt', 'swap', 'images']) rmSync(join(STORAGE, folder), { recursive: true, force: true });
  rig = openDiskRig();
  clean = traces();
});
afterEach(async () => {
  for (const name of ['one', 'two']) await rig.mounts.unmount(name);
  assert.deepEqual(traces(), clean);
});

/** With a volume `kept` on the first disk. */
function on(container: string, ...disks: readonly Disk[]) {
  const { container: _container, ...mount } = mountOf(container, 'boot');
  const [first] = disks;
  const kept = {
    name: 'kept',
    persistence: 'permanent' as const,
    ...(first === undefined ? {} : { disk: first.name }),
  };
  return { ...mount, volumes: [...mount.volumes, ...(first?.kind === 'swap' ? [] : [kept])], disks: [...disks] };
}

const mountOn = (container: string, ...disks: readonly Disk[]) => rig.mounts.mount(container, on(container, ...disks));
const kept = (container: string): string => join(RUNDIR, 'lxc', container, 'volumes/kept/note');
const failure = (step: RegExp) => (error: unknown) => {
  assert.ok(error instanceof StepFailure, String(error));
  assert.match(`${error.step}: ${error.reason}`, step);
  return true;
};

describe('an encrypted disk', () => {
  it('is made once, formatted once, and keeps what is written', async () => {
    await mountOn('one', CRYPT);
    const [open = ''] = rig.askedInFull();
    assert.equal(
      open,
      'cryptsetup open --type plain --cipher aes-cbc-essiv:sha256 --key-size 256 ' +
        `--key-file ${CRYPT_FOLDER}/key1.txt ${CRYPT_FOLDER}/disk1.img berth.rig.secret`,
    );
    assert.deepEqual(readdirSync(CRYPT_FOLDER).sort(), ['disk1.img', 'key1.init_done', 'key1.txt']);
    assert.equal(statSync(join(CRYPT_FOLDER, 'key1.txt')).size, 32);
    assert.equal(statSync(join(CRYPT_FOLDER, 'key1.txt')).mode & 0o777, 0o600);
    writeFileSync(kept('one'), 'kept');
    await rig.mounts.unmount('one');
    assert.deepEqual(rig.asked(), ['cryptsetup close']);
    assert.deepEqual(traces(), clean);
    await mountOn('one', CRYPT);
    assert.deepEqual(rig.asked(), ['cryptsetup open']);
    assert.equal(readFileSync(kept('one'), 'utf8'), 'kept');
  });

  it('is closed with the last of its containers', async () => {
    await mountOn('one', CRYPT);
    await mountOn('two', CRYPT);
    assert.deepEqual(rig.asked(), OPEN);
    await rig.mounts.unmount('one');
    assert.deepEqual(rig.asked(), []);
    rig = rig.again();
    await rig.mounts.unmount('two');
    assert.deepEqual(rig.asked(), ['cryptsetup close']);
  });

  it('is closed again when a later step fails, and begins anew when it was not finished', async () => {
    rig.failNext('mkfs.ext4');
    await assert.rejects(mountOn('one', CRYPT), failure(/^disk secret: mkfs\.ext4 ended with 1: told to/));
    assert.deepEqual(rig.asked(), [...OPEN, 'cryptsetup close']);
    assert.deepEqual(traces(), clean);
    const key = readFileSync(join(CRYPT_FOLDER, 'key1.txt'));
    await mountOn('one', CRYPT);
    assert.deepEqual(rig.asked(), OPEN);
    assert.deepEqual(readFileSync(join(CRYPT_FOLDER, 'key1.txt')), key);
    await rig.mounts.unmount('one');
    const broken = { ...on('one', CRYPT), squashfs: ['nothing.squashfs'] };
    await assert.rejects(rig.mounts.mount('one', broken), failure(/^squashfs nothing\.squashfs: ENOENT/));
    assert.deepEqual(rig.asked(), ['cryptsetup close', 'cryptsetup open', 'cryptsetup close']);
  });

  it('keeps nobody from hearing that its container is unmounted when it cannot be closed', async () => {
    await mountOn('one', CRYPT);
    // As its start writes it.
    const config = join(RUNDIR, 'lxc/one/config');
    writeFileSync(config, '');
    rig.failNext('cryptsetup close');
    await assert.rejects(rig.mounts.unmount('one'), failure(/^unmount: disk secret: cryptsetup ended with 1/));
    assert.deepEqual(rig.told, ['mounted one', 'unmounted one']);
    assert.equal(existsSync(config), false);
    await rig.mounts.unmount('one');
    assert.equal(traces().mounts, clean.mounts);
  });

  it('is closed by the next service when one was killed before anything was mounted', async () => {
    await mountOn('one', CRYPT);
    await rig.mounts.unmount('one');
    rig.asked();
    execFileSync('ln', ['-s', '/dev/loop-control', '/run/disk-rig/mapper/berth.rig.secret']);
    rig = rig.again();
    rig.failNext('cryptsetup close');
    await assert.rejects(rig.mounts.unmount('one'), failure(/^unmount: disk secret: cryptsetup ended with 1/));
    rmSync('/run/disk-rig/mapper/berth.rig.secret');
    assert.deepEqual(rig.asked(), ['cryptsetup close']);
  });

  it('is never made anew without its key or image, and never where somebody else’s image is', async () => {
    await mountOn('one', CRYPT);
    await rig.mounts.unmount('one');
    const key = join(CRYPT_FOLDER, 'key1.txt');
    const bytes = readFileSync(key);
    rmSync(key);
    await assert.rejects(mountOn('one', CRYPT), failure(/key1\.txt is missing, .*put it back, or remove .*init_done/));
    assert.equal(existsSync(key), false);
    writeFileSync(key, bytes);
    rmSync(join(CRYPT_FOLDER, 'key1.init_done'));
    writeFileSync(join(CRYPT_FOLDER, 'disk1.img'), Buffer.alloc(2 * 1024 * 1024, 'x'));
    rig.asked();
    await assert.rejects(mountOn('one', CRYPT), failure(/^disk secret: /));
    assert.equal(rig.asked().includes('mkfs.ext4'), false);
    assert.equal(readFileSync(join(CRYPT_FOLDER, 'disk1.img'), 'utf8').slice(0, 3), 'xxx');
  });

  it('says that there is no room for its image, and leaves nothing', async () => {
    const big: Disk = { ...CRYPT, mebibytes: 8 };
    mkdirSync(CRYPT_FOLDER, { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'small', CRYPT_FOLDER]);
    try {
      await assert.rejects(mountOn('one', big), failure(/^disk secret: ENOSPC: no space left on device/));
      assert.deepEqual(readdirSync(CRYPT_FOLDER).sort(), ['key1.init_started', 'key1.txt']);
    } finally {
      execFileSync('umount', [CRYPT_FOLDER]);
    }
  });

  it('takes its key from hardware, and no longer than it is needed', async () => {
    const steps = async (disk: Disk): Promise<readonly string[]> => {
      rmSync(CRYPT_FOLDER, { recursive: true, force: true });
      await mountOn('one', disk);
      const lines = rig.askedInFull().map((line) => line.replace(/\/dev\/loop\d+/g, 'LOOP'));
      await rig.mounts.unmount('one');
      assert.deepEqual(rig.asked(), ['dmsetup remove']);
      return lines;
    };
    const table = (cipher: string, key: string) =>
      `dmsetup create berth.rig.secret --table 0 4096 crypt ${cipher} ${key} 0 LOOP 0 1 sector_size:512`;
    const opened = (...create: string[]) => [
      ...create,
      'keyctl unlink 4711 @u',
      'mkfs.ext4 -q /run/disk-rig/mapper/berth.rig.secret',
    ];
    assert.deepEqual(await steps({ ...CRYPT, keySource: 'dcp-trusted' }), [
      'keyctl add trusted berth.secret new 32 @u',
      'keyctl pipe 4711',
      'keyctl unlink 4711 @u',
      'keyctl add trusted berth.secret load abcdef0123 @u',
      ...opened(table('capi:cbc(aes)-essiv:sha256', ':32:trusted:berth.secret')),
    ]);
    assert.equal(readFileSync(join(CRYPT_FOLDER, 'key1.bb'), 'utf8'), 'abcdef0123\n');
    assert.deepEqual(await steps({ ...CRYPT, keySource: 'caam-tagged' }), [
      'caam-keygen create key1 ecb -s 16',
      'caam-keygen import /run/disk-rig/caam/key1.bb key1.import',
      'keyctl padd logon logkey: @u',
      ...opened(table('capi:tk(cbc(aes))-plain', ':36:logon:logkey:')),
    ]);
  });
});

describe('swap and plain disks', () => {
  it('turns swap on with the first container and off with the last, and formats only what is empty', async () => {
    await mountOn('one', SWAP);
    await mountOn('two', SWAP);
    assert.deepEqual(rig.asked(), ['blkid', 'mkswap', 'swapon']);
    await rig.mounts.unmount('one');
    await rig.mounts.unmount('two');
    assert.deepEqual(rig.asked(), ['swapoff']);
    await mountOn('one', SWAP);
    assert.deepEqual(rig.asked(), ['blkid', 'swapon']);
    await rig.mounts.unmount('one');
    execFileSync('mkfs.ext4', ['-q', '-F', join(STORAGE, 'swap/file')]);
    await mountOn('one', SWAP);
    await mountOn('two', SWAP);
    assert.deepEqual(rig.asked(), ['swapoff', 'blkid']);
    const [said = '', ...more] = rig.errors;
    assert.match(said, /^disk swap: .*holds ext4, not swap: correct device\.json, or.* 'mkswap /);
    assert.deepEqual(more, []);
    for (const name of ['one', 'two']) await rig.mounts.unmount(name);
    rmSync(join(STORAGE, 'swap/file'));
    await mountOn('one', SWAP);
    assert.deepEqual(rig.asked(), ['blkid', 'mkswap', 'swapon']);
  });

  it('knows that swap is on also behind a link, and by a name that the kernel writes down otherwise', async () => {
    const swap: Disk = { kind: 'swap', name: 'swap', backing: { kind: 'file', path: '/run/by-id', mebibytes: 1 } };
    const real = '/run/a swap\\file';
    writeFileSync(real, Buffer.alloc(1024 * 1024));
    symlinkSync(real, '/run/by-id');
    try {
      await mountOn('one', swap);
      await mountOn('two', swap);
      await rig.mounts.unmount('one');
      await rig.mounts.unmount('two');
      assert.deepEqual(rig.asked(), ['blkid', 'mkswap', 'swapon', 'swapoff']);
    } finally {
      for (const path of [real, '/run/by-id']) rmSync(path);
    }
  });

  it('keeps volumes in a file system of an image', async () => {
    await mountOn('one', IMAGE);
    assert.deepEqual(rig.asked(), ['blkid', 'mkfs.ext4']);
    writeFileSync(kept('one'), 'kept');
    await rig.mounts.unmount('one');
    assert.deepEqual(traces(), clean);
    await mountOn('one', IMAGE);
    assert.deepEqual(rig.asked(), ['blkid']);
    assert.equal(readFileSync(kept('one'), 'utf8'), 'kept');
  });

  it('has one file system of an image, also where somebody holds a volume of it while it is closed and opened', async () => {
    await mountOn('one', IMAGE);
    mkdirSync('/run/held', { recursive: true });
    // As a container that mounts what another exports.
    execFileSync('mount', ['--bind', dirname(kept('one')), '/run/held']);
    try {
      await rig.mounts.unmount('one');
      for (const service of [rig, rig.again()]) {
        rig = service;
        await mountOn('one', IMAGE);
        assert.equal(statSync(dirname(kept('one'))).dev, statSync('/run/held').dev);
        assert.equal(traces().loops, clean.loops + 2);
        writeFileSync(kept('one'), 'kept');
        assert.equal(readFileSync('/run/held/note', 'utf8'), 'kept');
        await rig.mounts.unmount('one');
      }
    } finally {
      execFileSync('umount', ['/run/held']);
    }
  });

  it('has one file system in zram as long as somebody holds a volume of it', {
    skip: existsSync('/sys/class/zram-control') ? false : 'this machine has no zram',
  }, async () => {
    const record = join(RUNDIR, 'disks/fast.zram');
    await mountOn('one', ZRAM);
    assert.deepEqual(rig.asked(), ['mkfs.ext4']);
    const device = readFileSync(record, 'utf8');
    mkdirSync('/run/held', { recursive: true });
    execFileSync('mount', ['--bind', dirname(kept('one')), '/run/held']);
    try {
      await rig.mounts.unmount('one');
      for (const service of [rig, rig.again()]) {
        rig = service;
        await mountOn('one', ZRAM);
        writeFileSync(kept('one'), 'kept');
        assert.equal(readFileSync('/run/held/note', 'utf8'), 'kept');
        await rig.mounts.unmount('one');
        assert.ok(!rig.infos.includes('disk fast is closed'), rig.infos.join('\n'));
        assert.deepEqual([rig.asked(), readFileSync(record, 'utf8')], [[], device]);
      }
    } finally {
      execFileSync('umount', ['/run/held']);
    }
    // Whoever held it is taken away as this one is, and has no volume on the disk either.
    rig = rig.again();
    await mountOn('two');
    await rig.mounts.unmount('two');
    assert.equal(existsSync(record), false);
    assert.ok(rig.infos.includes('disk fast is closed'));
  });

  it('keeps volumes in a folder, which must be there outside of the storage', async () => {
    const outside: Disk = { kind: 'folder', name: 'usb', path: '/run/usb' };
    await assert.rejects(mountOn('one', outside), failure(/^disk usb: folder \/run\/usb .* is not there: mount it/));
    mkdirSync('/run/usb');
    await mountOn('one', outside);
    writeFileSync(kept('one'), 'kept');
    assert.equal(readFileSync('/run/usb/permanent/one/kept/note', 'utf8'), 'kept');
    await rig.mounts.unmount('one');
    await mountOn('one', { kind: 'folder', name: 'inside', path: '/storage/images/here' });
    assert.equal(existsSync(join(STORAGE, 'images/here/permanent/one/kept')), true);
  });

  it('finds what Pantavisor kept on it', async () => {
    const usb: Disk = { kind: 'folder', name: 'usb', path: '/run/stock' };
    mkdirSync('/run/stock/perm/one/kept', { recursive: true });
    writeFileSync('/run/stock/perm/one/kept/note', 'kept');
    await mountOn('one', usb);
    assert.equal(readFileSync(kept('one'), 'utf8'), 'kept');
    await rig.mounts.unmount('one');
  });

  it('says on a disk that others may use whose the volumes of a revision are', async () => {
    mkdirSync('/run/shared', { recursive: true });
    writeFileSync('/run/card', Buffer.alloc(2 * 1024 * 1024));
    const card = execFileSync('losetup', ['--find', '--show', '/run/card'], { encoding: 'utf8' }).trim();
    try {
      for (const [disk, root, marks] of [
        [{ kind: 'folder', name: 'shared', path: '/run/shared' }, '/run/shared', 1],
        [{ ...IMAGE, name: 'card', backing: { kind: 'device', path: card } }, join(RUNDIR, 'disks/card'), 1],
        [IMAGE, join(RUNDIR, 'disks/data'), 0],
      ] as const) {
        const wanted = on('one', disk);
        const volumes = wanted.volumes.map((each) =>
          each.name === 'kept' ? { ...each, persistence: 'revision' as const } : each,
        );
        for (let times = 0; times < 2; times += 1) {
          await rig.mounts.mount('one', { ...wanted, volumes });
          const names = readdirSync(join(root, 'revision/0')).map((name) => name.replace(/^(\.tree\.).*/, '$1'));
          assert.deepEqual(names.sort(), [...['.tree.'].slice(0, marks), 'one']);
          await rig.mounts.unmount('one');
        }
      }
    } finally {
      execFileSync('losetup', ['--detach', card]);
    }
  });

  it('binds no folder that a link on the disk leads to', async () => {
    const usb: Disk = { kind: 'folder', name: 'usb', path: '/run/planted' };
    mkdirSync('/run/planted/permanent/one', { recursive: true });
    execFileSync('ln', ['-s', '/etc', '/run/planted/permanent/one/kept']);
    await assert.rejects(
      mountOn('one', usb),
      failure(/^volume kept: \/run\/planted\/permanent\/one\/kept is a symbolic link/),
    );
  });

  it('closes and makes no folder that a link on the disk leads to', async () => {
    const usb: Disk = { kind: 'folder', name: 'usb', path: '/run/linked' };
    for (const folder of ['/run/linked', '/run/theirs']) mkdirSync(folder, { mode: 0o755 });
    execFileSync('ln', ['-s', '/run/theirs', '/run/linked/permanent']);
    await assert.rejects(mountOn('one', usb), failure(/^volume kept: \/run\/linked\/permanent is a symbolic link/));
    assert.deepEqual([statSync('/run/theirs').mode & 0o777, readdirSync('/run/theirs')], [0o755, []]);
  });

  it('says what is no block device', async () => {
    const backing = { kind: 'device' as const, path: '/dev/null' };
    await assert.rejects(mountOn('one', { ...IMAGE, backing }), failure(/^disk data: \/dev\/null is no block device/));
  });
});
