// What berth pack writes, and that packing again changes nothing.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { seedStorage } from '../../scripts/berth/seed-storage.ts';
import { lockStorage } from '../../services/supervisor/tree-lock.ts';
import { berth, berthOnTerminal, berthWith, createScratch, EXAMPLE, type Scratch, soundSource } from './program.ts';

let scratch: Scratch;
before(() => {
  scratch = createScratch();
});
after(() => scratch.remove());

const pack = (...args: string[]) => berthWith(scratch.environment, 'pack', ...args);
const out = (name: string): string => join(scratch.folder, name);
const json = (path: string): Record<string, unknown> => JSON.parse(readFileSync(path, 'utf8'));
const sha256 = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');

/** Path, inode, size and time of everything below. */
function snapshot(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((path) => {
      const { ino, size, mtimeMs } = statSync(join(folder, path));
      return `${path} ${ino} ${size} ${mtimeMs}`;
    })
    .sort();
}

describe('berth pack into a storage', () => {
  it('packs the example: state, checkout of hard links, factory progress, current revision', async () => {
    const storage = out('example');
    const ran = await pack(EXAMPLE, '-o', storage);
    assert.equal(ran.exitCode, 0, ran.stderr);
    const state = json(join(storage, 'trails/0/.pvr/json'));
    const objects = Object.entries(state).filter(([path, value]) => typeof value === 'string' && path !== '#spec');
    assert.equal(objects.length, 4);
    for (const [path, digest] of objects) {
      const object = join(storage, 'objects', String(digest));
      assert.equal(sha256(object), digest);
      assert.equal(statSync(join(storage, 'trails/0', path)).ino, statSync(object).ino);
      assert.equal(statSync(object).mode & 0o777, 0o644);
    }
    assert.deepEqual(json(join(storage, 'trails/0/.pv/progress')), {
      status: 'DONE',
      'status-msg': 'Factory revision',
      progress: 100,
      retries: 0,
    });
    assert.deepEqual(json(join(storage, 'boot/current.json')), { revision: '0' });
    assert.equal(statSync(storage).mode & 0o777, 0o755);
    assert.deepEqual(scratch.temporaries(), []);
    assert.equal((await berth('check', storage)).exitCode, 0);
  });

  it('makes the root filesystem that rootfs.list names, owned by root, without times', async () => {
    const source = scratch.write('listed', soundSource());
    const ran = await pack(source, '-o', out('listed-out'));
    assert.equal(ran.exitCode, 0, ran.stderr);
    const squashfs = join(out('listed-out'), 'trails/0/one/root.squashfs');
    const listing = execFileSync('unsquashfs', ['-UTC', '-lls', squashfs], { encoding: 'utf8' });
    assert.match(listing, /-rwxr-xr-x root\/root +10 1970-01-01 00:00 squashfs-root\/init\n/);
    assert.match(listing, /drwxrwxrwt root\/root +\d+ 1970-01-01 00:00 squashfs-root\/tmp\n/);
    assert.match(listing, /lrwxrwxrwx root\/root +7 1970-01-01 00:00 squashfs-root\/bin\/sh -> busybox\n/);
    assert.equal(execFileSync('unsquashfs', ['-cat', squashfs, 'init'], { encoding: 'utf8' }), '#!/bin/sh\n');
  });

  it('takes a root.squashfs that somebody else made as it is', async () => {
    const source = scratch.write('image', soundSource());
    await pack(source, '-o', out('image-first'));
    const image = join(out('image-first'), 'trails/0/one/root.squashfs');
    rmSync(join(source, 'containers/one/rootfs.list'));
    cpSync(image, join(source, 'containers/one/root.squashfs'));
    const ran = await pack(source, '-o', out('image-out'));
    assert.equal(ran.exitCode, 0, ran.stderr);
    assert.equal(sha256(join(out('image-out'), 'trails/0/one/root.squashfs')), sha256(image));
    assert.equal(sha256(join(source, 'containers/one/root.squashfs')), sha256(image));
  });

  it('packs a rootfs/ folder, a configuration overlay, mdev.json and src.json as they are', async () => {
    const source = scratch.write('folder', {
      'containers/one/rootfs/etc/name': 'one\n',
      'containers/one/config/etc/name': 'other\n',
      'containers/one/mdev.json': { rules: ['.* 0:0 666'] },
      'containers/one/src.json': { '#spec': 'service-manifest-src@1' },
    });
    const ran = await pack(source, '-o', out('folder-out'), '--revision', 'locals/mine');
    assert.equal(ran.exitCode, 0, ran.stderr);
    const trail = join(out('folder-out'), 'trails/locals/mine');
    const root = join(trail, 'one/root.squashfs');
    assert.equal(execFileSync('unsquashfs', ['-cat', root, 'etc/name'], { encoding: 'utf8' }), 'one\n');
    assert.equal(readFileSync(join(trail, '_config/one/etc/name'), 'utf8'), 'other\n');
    assert.deepEqual(json(join(trail, '.pvr/json'))['one/mdev.json'], { rules: ['.* 0:0 666'] });
    assert.deepEqual(json(join(trail, '.pvr/json'))['one/src.json'], { '#spec': 'service-manifest-src@1' });
    assert.deepEqual(json(join(out('folder-out'), 'boot/current.json')), { revision: 'locals/mine' });
    assert.equal(existsSync(join(trail, '.pv/progress')), false);
  });

  it('gives containers that name a pool the device.json of a new device, where no folder has one', async () => {
    const container = (args: object) => ({
      'containers/one/rootfs/init': 'a program\n',
      'containers/one/args.json': args,
    });
    const source = scratch.write('deviceless', container({ PV_NETWORK_POOL: 'pvcnet' }));
    const ran = await pack(source, '-o', out('deviceless-out'));
    assert.equal(ran.exitCode, 0, ran.stderr);
    assert.match(ran.stderr, /^warning: device\.json: no folder has one; .* with the pool pvcnet on lxcbr0$/m);
    assert.match((await berth('check', source)).stderr, /^warning: device\.json: no folder has one/m);
    // What a first boot on empty storage makes: the update to this one has nothing but the container to start.
    const seeded = out('deviceless-seeded');
    mkdirSync(seeded);
    seedStorage(seeded);
    const deviceOf = (storage: string) => json(join(storage, 'trails/0/.pvr/json'))['device.json'];
    assert.deepEqual(deviceOf(out('deviceless-out')), deviceOf(seeded));

    const unknown = await pack(scratch.write('unknown-pool', container({ PV_NETWORK_POOL: 'pvnet' })), '-o', out('no'));
    assert.equal(unknown.exitCode, 1);
    assert.match(unknown.stderr, /unknown pool 'pvnet'.*device\.json has pvcnet$/m);
    const poolless = await pack(scratch.write('poolless', container({})), '-o', out('poolless-out'));
    assert.equal(poolless.stderr, '');
    assert.equal(deviceOf(out('poolless-out')), undefined, 'who has no pools gets no bridge');
    const own = scratch.write('own-device', { ...container({ PV_NETWORK_POOL: 'pvcnet' }), 'device.json': {} });
    assert.match((await pack(own, '-o', out('own-out'))).stderr, /unknown pool 'pvcnet'/);
  });

  it('takes bsp/drivers.json, and checks the drivers of containers against it', async () => {
    const drivers = { all: { wifi: ['brcmfmac'] } };
    const source = scratch.write('drivers', {
      'bsp/drivers.json': drivers,
      'containers/one/rootfs/etc/name': 'one\n',
      'containers/one/args.json': { PV_DRIVERS_REQUIRED: ['wifi'] },
    });
    const ran = await pack(source, '-o', out('drivers-out'));
    assert.equal(ran.exitCode, 0, ran.stderr);
    assert.deepEqual(json(join(out('drivers-out'), 'trails/0/.pvr/json'))['bsp/drivers.json'], drivers);
    rmSync(join(source, 'bsp'), { recursive: true });
    assert.match(
      (await pack(source, '-o', out('driverless'))).stderr,
      /^one\/run\.json\.drivers\.required\.0: driver 'wifi'/m,
    );
  });

  it('changes nothing when the same content is packed again, and repairs what is damaged', async () => {
    const source = scratch.write('again', soundSource());
    const storage = out('again-out');
    await pack(source, '-o', storage);
    const first = snapshot(storage);
    const again = await pack(source, '-o', storage);
    assert.match(again.stdout, /^unchanged: revision 0 /);
    assert.deepEqual(snapshot(storage), first);
    const path = join(storage, 'trails/0/one/lxc.container.conf');
    writeFileSync(path, 'damaged');
    assert.equal((await berth('check', storage)).exitCode, 1);
    assert.match((await pack(source, '-o', storage)).stdout, /^written: /);
    assert.equal((await berth('check', storage)).exitCode, 0);
  });

  it('refuses another revision of the same name unless forced, and keeps the others', async () => {
    const source = scratch.write('other', soundSource());
    const storage = out('other-out');
    await pack(source, '-o', storage);
    const first = snapshot(storage);
    scratch.write('other', { 'containers/one/init': '#!/bin/sh\nexit 1\n' });
    const refused = await pack(source, '-o', storage);
    assert.equal(refused.exitCode, 1);
    assert.match(refused.stderr, /holds another revision 0; take another name or --force/);
    assert.deepEqual(snapshot(storage), first);
    assert.equal((await pack(source, '-o', storage, '--revision', '1')).exitCode, 0);
    assert.equal((await pack(source, '-o', storage, '--force')).exitCode, 0);
    assert.deepEqual(readdirSync(join(storage, 'trails')).sort(), ['0', '1']);
    const digest = (revision: string) => json(join(storage, 'trails', revision, '.pvr/json'))['one/root.squashfs'];
    assert.equal(digest('0'), digest('1'));
    assert.deepEqual(json(join(storage, 'boot/current.json')), { revision: '0' });
  });

  it('replaces none while a Berth runs on the storage, whose containers have its files, and adds others', async () => {
    const source = scratch.write('running', soundSource());
    const storage = out('running-out');
    await pack(source, '-o', storage);
    const running = await lockStorage(storage, 0);
    scratch.write('running', { 'containers/one/init': '#!/bin/sh\nexit 1\n' });
    const first = snapshot(storage);
    const refused = await pack(source, '-o', storage, '--force');
    assert.equal(refused.exitCode, 1);
    assert.match(refused.stderr, /is in use by another Berth; .* take another --revision/);
    assert.deepEqual(snapshot(storage), first);
    assert.equal((await pack(source, '-o', storage, '--revision', '1')).exitCode, 0);
    closeSync(running);
    assert.equal((await pack(source, '-o', storage, '--force')).exitCode, 0);
  });
});

describe('berth pack of files that are not root’s', () => {
  /** A root filesystem that some root made: whoever runs the test, it is root. */
  function folder(name: string): string {
    const source = scratch.write(name, {
      'containers/one/rootfs/init': '#!/bin/sh\n',
      'containers/one/rootfs/bin/sh': 'a program\n',
      'containers/one/rootfs/bin/tool': 'a program\n',
      'containers/one/rootfs/var/mail/someone': 'a letter\n',
      'containers/one/volumes/models/model': 'a model\n',
    });
    for (const program of ['init', 'bin/sh', 'bin/tool'])
      chmodSync(join(source, 'containers/one/rootfs', program), 0o755);
    return join(source, 'containers/one');
  }

  it('warns of owners and capabilities that are lost, and says how to keep them', async () => {
    const container = folder('owners');
    chownSync(join(container, 'rootfs/var/mail/someone'), 1000, 8);
    chownSync(join(container, 'rootfs/var/mail'), 0, 8);
    chownSync(join(container, 'volumes/models/model'), 1000, 1000);
    execFileSync('setcap', ['cap_net_raw+ep', join(container, 'rootfs/bin/tool')]);
    const ran = await pack(join(container, '../..'), '-o', out('owners-out'));
    assert.equal(ran.exitCode, 0, ran.stderr);
    const warnings = ran.stderr
      .split('\n')
      .filter((line) => line.includes('mksquashfs FOLDER FILE.squashfs -noappend'));
    assert.equal(warnings.length, 2, ran.stderr);
    assert.match(
      warnings[0] ?? '',
      /^warning: containers\/one\/rootfs: loses the owners of var\/mail and 1 more and the capabilities of bin\/tool: /,
    );
    assert.match(warnings[1] ?? '', /^warning: containers\/one\/volumes\/models: loses the owners of model: /);
  });

  for (const [what, uid, gid, mode] of [
    ['setuid', 1000, 0, 0o4755],
    ['setgid', 0, 5, 0o2755],
  ] as const) {
    it(`refuses what is ${what} for another than root, and would be for root`, async () => {
      const container = folder(what);
      chownSync(join(container, 'rootfs/bin/tool'), uid, gid);
      chmodSync(join(container, 'rootfs/bin/tool'), mode);
      for (const command of [['pack', '-o', out(`${what}-out`)], ['check']]) {
        const ran = await berthWith(scratch.environment, ...command, join(container, '../..'));
        assert.equal(ran.exitCode, 1);
        assert.match(
          ran.stdout + ran.stderr,
          /^containers\/one\/rootfs\/bin\/tool: is setuid or setgid for another than root/m,
        );
      }
      assert.equal(existsSync(out(`${what}-out`)), false);
    });
  }

  it('takes root’s own setuid programs, and what somebody unpacked who is not root', async () => {
    const container = folder('not-by-root');
    chmodSync(join(container, 'rootfs/bin/sh'), 0o4755);
    assert.equal((await berth('check', join(container, '../..'))).stderr, '');
    execFileSync('chown', ['-R', '1000:1000', container]);
    chmodSync(join(container, 'rootfs/bin/sh'), 0o4755);
    const ran = await pack(join(container, '../..'), '-o', out('not-by-root-out'));
    assert.deepEqual([ran.exitCode, ran.stderr], [0, '']);
  });
});

describe('berth pack on a terminal', () => {
  it('shows how far each container is, and takes the bar away', async () => {
    const source = scratch.write('terminal', soundSource());
    const ran = await berthOnTerminal(scratch.environment, 'pack', source, '-o', out('terminal-out'));
    assert.equal(ran.exitCode, 0, ran.stdout);
    assert.match(ran.stdout, /\[1\/1\] one {2}█{30} 100%/);
    const last = ran.stdout.split('\r').at(-2) ?? '';
    assert.ok(last.startsWith('\x1b[Kwritten: revision 0 '), last);
    assert.doesNotMatch((await pack(source, '-o', out('pipe-out'))).stderr, /%/);
  });
});

describe('berth pack and arguments that it does not know', () => {
  it('packs without them and warns, as berth check does', async () => {
    const source = scratch.write('unknown', soundSource({ 'containers/one/args.json': { PV_GRUOP: 'app' } }));
    const warning =
      /^warning: containers\/one\/args\.json\.PV_GRUOP: is no argument that berth pack knows, .* PV_GROUP$/m;
    const ran = await pack(source, '-o', out('unknown-out'));
    assert.equal(ran.exitCode, 0, ran.stderr);
    assert.match(ran.stderr, warning);
    assert.equal(json(out('unknown-out/trails/0/.pvr/json'))['#spec'], 'pantavisor-service-system@1');
    const checked = await berth('check', source);
    assert.equal(checked.exitCode, 0, checked.stderr);
    assert.match(checked.stderr, warning);
  });
});

describe('berth pack into an archive', () => {
  it('holds the state as json and every object; the same content gives the same bytes', async () => {
    const source = scratch.write('archive', soundSource());
    const [first, second] = [out('first.tgz'), out('second.tgz')];
    assert.equal((await pack(source, '-o', first)).exitCode, 0);
    assert.equal((await pack(source, '-o', second)).exitCode, 0);
    assert.equal(sha256(first), sha256(second));
    assert.match((await pack(source, '-o', first)).stdout, /^unchanged: /);
    mkdirSync(out('unpacked'));
    execFileSync('tar', ['-xzf', first, '-C', out('unpacked')]);
    const digests = Object.values(json(join(out('unpacked'), 'json'))).filter(
      (value) => typeof value === 'string' && value.length === 64,
    );
    assert.deepEqual(readdirSync(join(out('unpacked'), 'objects')), digests.sort());
    for (const digest of digests) assert.equal(sha256(join(out('unpacked'), 'objects', String(digest))), digest);
    const long = out('third.tar.gz');
    assert.equal((await pack(source, '-o', long)).exitCode, 0);
    assert.equal(sha256(long), sha256(first));
    for (const other of ['third.tar', 'third.tar.bz2', 'third.zip']) {
      const refused = await pack(source, '-o', out(other));
      assert.equal(refused.exitCode, 2);
      assert.match(refused.stderr, /: archives are \.tgz or \.tar\.gz/);
      assert.equal(existsSync(out(other)), false);
    }
    writeFileSync(first, 'something else');
    assert.equal((await pack(source, '-o', first)).exitCode, 1);
    assert.equal((await pack(source, '-o', first, '--force')).exitCode, 0);
  });
});
