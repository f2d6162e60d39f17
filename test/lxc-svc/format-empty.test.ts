// What is formatted and what never is: a disk is lost only by whoever means to lose it.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterEach, before, beforeEach, describe, it } from 'node:test';
import { type DiskTools, systemTools } from '../../services/lxc-svc/disk-tools.ts';
import { formatEmpty } from '../../services/lxc-svc/format-empty.ts';
import { StepFailure } from '../../services/lxc-svc/step-failure.ts';
import type { Disk } from '../../shared/schema/storage.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { type DiskRig, openDiskRig } from './disk-rig.ts';
import { makeContainer, mountOf, STORAGE, traces } from './rig.ts';

reexecInNamespaces(import.meta.filename);

const MIB = 1024 * 1024;
const SIZE = 4 * MIB;
/** Outside of what is counted as left behind. */
const CARD = '/run/card';
const IMAGE_FILE = join(STORAGE, 'images/data.img');
const IMAGE: Disk = {
  kind: 'fileSystem',
  name: 'data',
  format: 'ext4',
  backing: { kind: 'file', path: '/storage/images/data.img', mebibytes: 4 },
};

let rig: DiskRig;
let clean: ReturnType<typeof traces>;
before(() => makeContainer('one', 'deaf'));
beforeEach(() => {
  rmSync(join(STORAGE, 'images'), { recursive: true, force: true });
  rig = openDiskRig();
  clean = traces();
});
afterEach(async () => {
  await rig.mounts.unmount('one');
  assert.deepEqual(traces(), clean);
});

const mountOn = (disk: Disk) => {
  const { container: _container, ...mount } = mountOf('one', 'boot');
  const kept = { name: 'kept', persistence: 'permanent' as const, disk: disk.name };
  return rig.mounts.mount('one', { ...mount, volumes: [...mount.volumes, kept], disks: [disk] });
};
const failure = (step: RegExp) => (error: unknown) => {
  assert.ok(error instanceof StepFailure, String(error));
  assert.match(`${error.step}: ${error.reason}`, step);
  return true;
};

/** Of one Linux partition that begins after a MiB (the first sector of a disk, with the table's 55 AA at its end). */
function partitioned(): Buffer {
  const bytes = Buffer.alloc(SIZE);
  bytes[450] = 0x83;
  bytes.writeUInt32LE(2048, 454);
  bytes.writeUInt32LE(4096, 458);
  bytes.writeUInt16BE(0x55aa, 510);
  bytes.write('files of the partition', 2 * MIB);
  return bytes;
}

function withWord(at: number): Buffer {
  const bytes = Buffer.alloc(SIZE);
  bytes.write('word', at);
  return bytes;
}

/** As a block device while `act` runs. */
async function onCard(content: Buffer, act: (disk: (kind: 'fileSystem' | 'swap') => Disk) => Promise<void>) {
  writeFileSync(CARD, content);
  const path = execFileSync('losetup', ['--find', '--show', CARD], { encoding: 'utf8' }).trim();
  const backing = { kind: 'device' as const, path };
  try {
    await act((kind) =>
      kind === 'swap' ? { kind, name: 'card', backing } : { kind, name: 'card', backing, format: 'ext4' },
    );
  } finally {
    await rig.mounts.unmount('one');
    execFileSync('losetup', ['--detach', path]);
  }
}

describe('a disk that is not empty', () => {
  const contents: readonly (readonly [string, Buffer, RegExp])[] = [
    [
      'a partition table',
      partitioned(),
      /^disk card: \/dev\/loop\d+ holds a partition table \(dos\), not \w+: .*loop\d/,
    ],
    ['something that nobody knows', withWord(4096), /^disk card: \/dev\/loop\d+ is not empty: .*'mk.* \/dev\/loop\d+'/],
    ['something at its end', withWord(SIZE - 4), /^disk card: \/dev\/loop\d+ is not empty/],
  ];
  for (const [what, content, message] of contents) {
    it(`is left as it is, and refused: ${what}`, () =>
      onCard(content, async (disk) => {
        await assert.rejects(mountOn(disk('fileSystem')), failure(message));
        assert.deepEqual(rig.asked(), ['blkid']);
        assert.ok(readFileSync(CARD).equals(content));
        await mountOn(disk('swap'));
        assert.match(rig.errors[0]?.replace('there is no swap on it: ', '') ?? '', message);
        assert.deepEqual(rig.asked(), ['blkid']);
        assert.ok(readFileSync(CARD).equals(content));
      }));
  }

  for (const [what, sectors, message] of [
    ['none, as a reader without a card', 0, /^\/dev\/loop\d+ has no size: there is no card in it$/],
    ['more than can be read', (2 * SIZE) / 512, /^\/dev\/loop\d+ ends before its size$/],
  ] as const) {
    it(`is one whose size is said to be ${what}`, () =>
      onCard(Buffer.alloc(SIZE), async (disk) => {
        const card = disk('swap');
        assert.ok(card.kind === 'swap' && card.backing.kind === 'device');
        const { path } = card.backing;
        const [sysfs, asked] = ['/run/card-sysfs', [] as string[]];
        const number = readFileSync(`/sys/class/block/${basename(path)}/dev`, 'utf8').trim();
        mkdirSync(join(sysfs, 'dev/block', number), { recursive: true });
        writeFileSync(join(sysfs, 'dev/block', number, 'size'), `${sectors}\n`);
        const system = systemTools('cryptsetup');
        const run: DiskTools['run'] = (program, ...rest) => {
          asked.push(program);
          return system.run(program, ...rest);
        };
        const formatting = { path, wanted: 'swap', command: ['mkswap'], record: '/run/card-record' } as const;
        await assert.rejects(formatEmpty(formatting, { ...system, sysfs, run }), { message });
        assert.deepEqual(asked, ['blkid']);
      }));
  }

  it('is an image, too', async () => {
    mkdirSync(join(STORAGE, 'images'));
    writeFileSync(IMAGE_FILE, withWord(4096));
    await assert.rejects(mountOn(IMAGE), failure(/^disk data: .*data\.img is not empty/));
    assert.ok(readFileSync(IMAGE_FILE).equals(withWord(4096)));
  });

  it('is one that cannot be looked at', async () => {
    mkdirSync(join(STORAGE, 'images'));
    symlinkSync('data.img', IMAGE_FILE);
    await assert.rejects(mountOn(IMAGE), failure(/^disk data: ELOOP/));
    assert.deepEqual(readdirSync(join(STORAGE, 'images')), ['data.img']);
    const key = join(STORAGE, 'images/key1.init_done');
    symlinkSync('key1.init_done', key);
    const crypt: Disk = {
      kind: 'crypt',
      name: 'secret',
      keySource: 'file',
      key: 'key1',
      image: '/storage/images/secret.img',
      mebibytes: 2,
    };
    await assert.rejects(mountOn(crypt), failure(/^disk secret: ELOOP/));
    assert.deepEqual(readdirSync(join(STORAGE, 'images')), ['data.img', 'key1.init_done']);
  });
});

describe('a disk that is empty', () => {
  for (const [what, byte] of [
    ['zeros', 0],
    ['what some cards hold when they are new', 0xff],
  ] as const) {
    it(`is formatted: ${what}`, () =>
      onCard(Buffer.alloc(SIZE, byte), async (disk) => {
        await mountOn(disk('fileSystem'));
        assert.deepEqual(rig.asked(), ['blkid', 'mkfs.ext4']);
        await rig.mounts.unmount('one');
        await mountOn(disk('fileSystem'));
        assert.deepEqual(rig.asked(), ['blkid']);
      }));
  }

  it('is formatted once more where that did not come to its end, and only there', async () => {
    rig.failNext('mkfs.ext4');
    await assert.rejects(mountOn(IMAGE), failure(/mkfs\.ext4 ended with 1: told to/));
    writeFileSync(IMAGE_FILE, withWord(4096));
    rig = rig.again();
    await mountOn(IMAGE);
    assert.deepEqual(rig.asked(), ['blkid', 'mkfs.ext4']);
    await rig.mounts.unmount('one');
    writeFileSync(IMAGE_FILE, withWord(4096));
    await assert.rejects(mountOn(IMAGE), failure(/data\.img is not empty/));
  });

  it('that was being formatted is no other one in its place', async () => {
    rig.failNext('mkfs.ext4');
    await assert.rejects(mountOn(IMAGE), failure(/mkfs\.ext4 ended with 1: told to/));
    for (const content of [Buffer.concat([withWord(4096), Buffer.alloc(MIB)]), partitioned()]) {
      writeFileSync(IMAGE_FILE, content);
      await assert.rejects(mountOn(IMAGE), failure(/data\.img (is not empty|holds a partition table)/));
    }
    assert.equal(existsSync(IMAGE_FILE), true);
  });
});
