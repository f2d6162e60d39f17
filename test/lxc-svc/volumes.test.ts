// What a container finds of its volumes, the state's files and the exports of others, and what is left of them afterwards.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import type { NamedVolume } from '../../shared/schema/storage.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { makeContainer, mountOf, openRig, type Rig, RUNDIR, STORAGE, startOf, traces } from './rig.ts';
import {
  allOf,
  end as endScripted,
  type Files,
  makeScripted,
  runToTheEnd as runScripted,
  writeFiles,
} from './scripted.ts';

reexecInNamespaces(import.meta.filename);

let rig: Rig;
before(async () => {
  rig = await openRig();
  await rig.spawn();
});
after(async () => {
  await rig.close();
});

const value: Rig['value'] = (answer) => rig.value(answer);
const runToTheEnd = (container: string, wanted: ReturnType<typeof allOf>) => runScripted(rig, container, wanted);
const end = (container: string) => endScripted(rig, container);

/** As a checkout has them: the state, and files that belong to another user. */
function writeConfigFiles(container: string, files: Files, documents: Readonly<Record<string, string>> = {}): void {
  const folder = join(STORAGE, 'trails/0/_config', container);
  writeFiles(folder, files);
  execFileSync('chown', ['-R', '60803:60803', folder]);
  const key = (path: string): string => `_config/${container}/${path}`;
  const state = {
    '#spec': 'pantavisor-service-system@1',
    ...Object.fromEntries(Object.keys(files).map((path) => [key(path), 'a'.repeat(64)])),
  };
  const inline = Object.entries(documents).map(([path, text]) => `,${JSON.stringify(key(path))}: ${text} `);
  mkdirSync(join(STORAGE, 'trails/0/.pvr'), { recursive: true });
  writeFileSync(join(STORAGE, 'trails/0/.pvr/json'), `${JSON.stringify(state).slice(0, -1)}${inline.join('')}}`);
}

const KEPT: readonly NamedVolume[] = [
  { name: 'docker--good', persistence: 'permanent' },
  { name: 'docker--rev', persistence: 'revision' },
  { name: 'docker--boot', persistence: 'boot' },
];
const KEPT_ENTRIES = ['good', 'rev', 'boot'].map(
  (name) => `/volumes/keeps/docker--${name} mnt/${name} none bind,rw,create=dir 0 0`,
);

describe('a container’s volumes', () => {
  it('start empty, and are kept for good, for the revision and for the run', async () => {
    const script = 'for v in good rev boot; do cat /mnt/$v/note; echo $v >/mnt/$v/note; done';
    makeScripted('keeps', script, KEPT_ENTRIES);
    execFileSync('cp', ['-r', join(STORAGE, 'trails/0'), join(STORAGE, 'trails/1')]);
    const clean = traces();
    const seenIn = async (revision: string): Promise<string[]> => {
      const text = await runToTheEnd('keeps', { ...allOf('keeps', KEPT), revision });
      await end('keeps');
      assert.deepEqual(traces(), clean);
      return text.split('\n').filter((line) => /^(good|rev|boot)$/.test(line));
    };
    assert.deepEqual(await seenIn('0'), []);
    assert.deepEqual(await seenIn('0'), ['good', 'rev']);
    assert.deepEqual(await seenIn('1'), ['good']);
    assert.deepEqual(await seenIn('0'), ['good', 'rev']);
  });

  it('are those that Pantavisor kept for it', async () => {
    makeScripted('moves', 'cat /mnt/good/note /mnt/rev/note', [
      '/volumes/moves/docker--good mnt/good none bind,rw,create=dir 0 0',
      '/volumes/moves/docker--rev mnt/rev none bind,rw,create=dir 0 0',
    ]);
    const stock = {
      'perm/moves/docker--good/note': 'for good\n',
      'rev/0/moves/docker--rev/note': 'for the revision\n',
    };
    writeFiles(join(STORAGE, 'disks'), stock);
    for (const round of ['the first', 'the second']) {
      assert.match(await runToTheEnd('moves', allOf('moves', KEPT)), /^for good\nfor the revision$/m, round);
      await end('moves');
    }
  });

  it('are bound where Pantavisor kept them when they cannot be moved', async () => {
    makeScripted('apart', 'cat /mnt/note', ['/volumes/apart/docker--good mnt none bind,rw,create=dir 0 0']);
    const apart = join(STORAGE, 'disks/perm/apart');
    mkdirSync(apart, { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', 'apart', apart]);
    try {
      writeFiles(apart, { 'docker--good/note': 'for good\n' });
      assert.match(await runToTheEnd('apart', allOf('apart', KEPT)), /^for good$/m);
      assert.equal(statSync(dirname(apart)).mode & 0o007, 0);
      await end('apart');
      assert.equal(existsSync(join(STORAGE, 'disks/permanent/apart/docker--good')), false);
    } finally {
      execFileSync('umount', [apart]);
    }
  });

  it('of a revision that is gone are removed, unless a container is mounted of it', async () => {
    const oddly = 'locals/-v1.0+b3~@=';
    makeScripted('collects', 'true', []);
    makeScripted('stays', 'true', []);
    for (const revision of ['7', oddly, '8']) {
      const trail = join(STORAGE, 'trails', revision);
      mkdirSync(dirname(trail), { recursive: true });
      execFileSync('cp', ['-r', join(STORAGE, 'trails/0'), trail]);
      value(await rig.lxc.mount({ ...allOf('collects', KEPT), revision }));
    }
    value(await rig.lxc.unmount({ container: 'collects' }));
    value(await rig.lxc.mount({ ...allOf('stays', KEPT), revision: '7' }));
    for (const revision of ['7', oddly]) rmSync(join(STORAGE, 'trails', revision), { recursive: true });
    const kept = join(STORAGE, 'disks/revision');
    assert.ok(existsSync(join(kept, oddly, 'collects')));
    value(await rig.lxc.mount({ ...allOf('collects', KEPT), revision: '8' }));
    await eventually('they are removed', PATIENCE_MS, () => readdirSync(join(kept, 'locals')).length === 0);
    await eventually('to the end', PATIENCE_MS, () => readdirSync(kept).every((name) => !name.startsWith('.')));
    assert.deepEqual(
      ['7', '8'].map((name) => existsSync(join(kept, name))),
      [true, true],
    );
    for (const container of ['collects', 'stays']) value(await rig.lxc.unmount({ container }));
  });

  it('are behind folders that no other user of the host passes, also where these were open', async () => {
    makeScripted('closed', 'true', []);
    const permanent = join(STORAGE, 'disks/permanent');
    mkdirSync(permanent, { recursive: true });
    chmodSync(permanent, 0o755);
    value(await rig.lxc.mount(allOf('closed', KEPT)));
    assert.deepEqual(
      [join(RUNDIR, 'lxc'), permanent].map((folder) => statSync(folder).mode & 0o007),
      [0, 0],
    );
    value(await rig.lxc.unmount({ container: 'closed' }));
  });

  it('are seen by others that mount them', async () => {
    makeScripted('giver', 'echo given >/mnt/x', ['/volumes/giver/media mnt none bind,create=dir 0 0']);
    makeScripted('taker', 'cat /mnt/x', ['/volumes/giver/media mnt none bind,create=dir 0 0']);
    await runToTheEnd('giver', allOf('giver', [{ name: 'media', persistence: 'boot' }]));
    assert.match(await runToTheEnd('taker', allOf('taker')), /^given$/m);
    for (const container of ['giver', 'taker']) await end(container);
  });

  it('are on one loop device where they are the same image, which goes with the last of them', async () => {
    const image = (container: string): string => join(STORAGE, 'trails/0', container, 'root.squashfs');
    for (const name of ['first', 'second', 'another']) makeContainer(name, 'deaf');
    rmSync(image('second'));
    linkSync(image('first'), image('second'));
    const clean = traces();
    const loops = (): number => traces().loops - clean.loops;
    const isThere = (container: string): boolean => existsSync(join(RUNDIR, 'lxc', container, 'rootfs/bin/app-deaf'));
    for (const container of ['first', 'second']) value(await rig.lxc.mount(mountOf(container)));
    assert.equal(loops(), 1);
    value(await rig.lxc.unmount({ container: 'first' }));
    assert.deepEqual([loops(), isThere('second')], [1, true]);
    value(await rig.lxc.mount(mountOf('first')));
    assert.equal(loops(), 1);
    for (const container of ['first', 'second']) value(await rig.lxc.unmount({ container }));
    await eventually('the device is gone', PATIENCE_MS, () => isDeepStrictEqual(traces(), clean));
    // Most likely on the device that was theirs.
    for (const container of ['another', 'first']) value(await rig.lxc.mount(mountOf(container)));
    assert.deepEqual([loops(), isThere('another'), isThere('first')], [2, true, true]);
    // Another service finds the device, and one that was made otherwise is left alone.
    await rig.kill();
    await rig.spawn();
    const losetup = (...args: readonly string[]) => execFileSync('losetup', args, { encoding: 'utf8' }).trim();
    const others = losetup('--find', '--show', '--read-only', image('second'));
    try {
      value(await rig.lxc.mount(mountOf('second')));
      assert.equal(loops(), 3);
    } finally {
      losetup('--detach', others);
    }
    for (const container of ['another', 'first', 'second']) value(await rig.lxc.unmount({ container }));
    await eventually('nothing is left', PATIENCE_MS, () => isDeepStrictEqual(traces(), clean));
  });

  it('are mounted anew when their list changes, and not while the container runs', async () => {
    makeScripted('lists', 'true', []);
    const clean = traces();
    const one = allOf('lists', KEPT.slice(0, 1));
    value(await rig.lxc.mount(one));
    const before = traces();
    value(await rig.lxc.mount(allOf('lists', KEPT)));
    assert.equal(traces().mounts, before.mounts + 2);
    value(await rig.lxc.start(startOf('lists')));
    for (const changed of [
      one,
      { ...allOf('lists', KEPT), exports: ['etc'] },
      { ...allOf('lists', KEPT), squashfs: [] },
    ]) {
      const answer = await rig.lxc.mount(changed);
      assert.ok(!answer.ok && answer.error.code === 'MOUNT_FAILED');
    }
    await end('lists');
    assert.deepEqual(traces(), clean);
  });

  it('make the container unmounted when one of them is gone', async () => {
    makeScripted('holes', 'true', []);
    const clean = traces();
    value(await rig.lxc.mount(allOf('holes', KEPT)));
    execFileSync('umount', [join(RUNDIR, 'lxc/holes/volumes/docker--rev')]);
    const { containers } = value(await rig.lxc.listContainers({}));
    assert.equal(containers.find(({ container }) => container === 'holes')?.mounted, false);
    value(await rig.lxc.mount(allOf('holes', KEPT)));
    assert.equal(traces().mounts, clean.mounts + 7);
    value(await rig.lxc.unmount({ container: 'holes' }));
    assert.deepEqual(traces(), clean);
  });

  it('name themselves when they cannot be mounted, and nothing is left', async () => {
    makeScripted('broken', 'true', []);
    writeFileSync(join(STORAGE, 'trails/0/broken/tools.squashfs'), 'no squashfs');
    const clean = traces();
    const answer = await rig.lxc.mount(allOf('broken', KEPT));
    assert.ok(!answer.ok && answer.error.code === 'MOUNT_FAILED');
    assert.equal(answer.error.step, 'squashfs tools.squashfs');
    assert.deepEqual(traces(), clean);
    assert.deepEqual(existsSync(join(RUNDIR, 'lxc/broken/volumes')), false);
  });

  it('say that the disk is full, and nothing is left', async () => {
    makeScripted('full', 'true', []);
    const place = join(STORAGE, 'disks/permanent/full');
    mkdirSync(place, { recursive: true });
    // Room for the folder of the writable layer, and for no more.
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'nr_inodes=2', 'full', place]);
    try {
      const clean = traces();
      const answer = await rig.lxc.mount(allOf('full', KEPT));
      assert.ok(!answer.ok && answer.error.code === 'MOUNT_FAILED');
      assert.match(
        `${answer.error.step} ${answer.error.reason}`,
        /^volume docker--good ENOSPC: no space left on device/,
      );
      assert.deepEqual(traces(), clean);
    } finally {
      execFileSync('umount', [place]);
    }
  });
});

/** Read and written again these would be other numbers, and the keys would come in another order. */
const INLINE = '{"serial":12345678901234567890, "gain":1.0,\n"2":"b","1":"a"}';

describe('the state’s files', () => {
  it('lie over the image with its modes, are root’s, and give way to what the container writes', async () => {
    const script = 'cat /etc/motd /bin/app-exit0; ls -ln /etc/motd /bin/app-exit0; echo own >/etc/motd';
    makeScripted('layered', script, []);
    writeConfigFiles(
      'layered',
      { 'etc/motd': 'from the state\n', 'bin/app-exit0': '#!/bin/sh\n# replaced\n', 'tmp/x': '' },
      { 'etc/app/new.json': INLINE },
    );
    // Of an interrupted checkout; no part of the state.
    writeFileSync(join(STORAGE, 'trails/0/_config/layered/etc/motd.new'), 'torn');
    const clean = traces();
    const text = await runToTheEnd('layered', allOf('layered'));
    assert.match(text, /^from the state$/m);
    assert.match(text, /^-rw-r--r-- .* 0 +0 .*\/etc\/motd$/m);
    assert.match(text, /^-rwxr-xr-x .* 0 +0 .*\/bin\/app-exit0$/m);
    const root = join(RUNDIR, 'lxc/layered/rootfs');
    assert.equal(readFileSync(join(root, 'etc/app/new.json'), 'utf8'), INLINE);
    assert.equal(existsSync(join(root, 'etc/motd.new')), false);
    await end('layered');
    value(await rig.lxc.mount(allOf('layered')));
    assert.equal(readFileSync(join(root, 'etc/motd'), 'utf8'), 'own\n');
    value(await rig.lxc.unmount({ container: 'layered' }));
    assert.deepEqual(traces(), clean);
    assert.equal(existsSync(join(RUNDIR, 'lxc/layered/files')), false);
  });

  it('follow the image’s links and keep the modes of its folders', async () => {
    makeScripted('linked', 'true', []);
    const image = mkdtempSync('/run/image-');
    execFileSync('unsquashfs', ['-q', '-f', '-d', image, join(STORAGE, 'trails/0/linked/root.squashfs')], {
      stdio: 'ignore',
    });
    execFileSync('sh', [
      '-c',
      `cd ${image} && mkdir -p usr/lib root && ln -s usr/lib lib && ln -s /../../../etc out && chmod 700 root && chmod 1777 tmp`,
    ]);
    const squashfs = join(STORAGE, 'trails/0/linked/root.squashfs');
    execFileSync('mksquashfs', [image, squashfs, '-quiet', '-no-progress', '-noappend', '-all-root'], {
      stdio: 'ignore',
    });
    writeConfigFiles('linked', { 'lib/mod.conf': 'm', 'root/.key': 'k', 'tmp/t': 't', 'out/inside': 'i' });
    const { rootfs } = value(await rig.lxc.mount(allOf('linked')));
    assert.equal(readFileSync(join(rootfs, 'usr/lib/mod.conf'), 'utf8'), 'm');
    assert.equal(readFileSync(join(rootfs, 'etc/inside'), 'utf8'), 'i');
    assert.equal(existsSync('/etc/inside'), false);
    assert.deepEqual(
      ['root', 'tmp', 'usr', 'root/.key'].map((path) => (statSync(join(rootfs, path)).mode & 0o7777).toString(8)),
      ['700', '1777', '755', '644'],
    );
    value(await rig.lxc.unmount({ container: 'linked' }));
  });
});

describe('exports', () => {
  const KEPT_DATA: readonly NamedVolume[] = [{ name: 'data', persistence: 'permanent' }];

  it('show others a path of the root, and a volume that is mounted there', async () => {
    makeScripted('shows', 'mkdir -p /data/web; echo page >/data/web/index; echo vol >/srv/file; echo motd >/etc/motd', [
      '/volumes/shows/docker--srv srv none bind,rw,create=dir 0 0',
    ]);
    makeScripted('reads', 'cat /mnt/web/index /mnt/srv/file /mnt/motd', [
      '/exports/shows/data mnt none bind,create=dir 0 0',
      '/exports/shows/srv mnt/srv none bind,create=dir 0 0',
      '/exports/shows/etc/motd mnt/motd none bind,create=file 0 0',
    ]);
    writeConfigFiles('shows', { 'etc/motd': '' });
    const clean = traces();
    const volumes: NamedVolume[] = [{ name: 'docker--srv', persistence: 'permanent' }];
    await runToTheEnd('shows', allOf('shows', volumes, ['data', 'srv', 'etc/motd', 'none/such']));
    await eventually('it is told', PATIENCE_MS, () => /shows: \/none\/such is not exported/.test(rig.output()));
    const text = await runToTheEnd('reads', allOf('reads'));
    assert.match(text, /^page\nvol\nmotd$/m);
    for (const container of ['shows', 'reads']) await end(container);
    assert.deepEqual(traces(), clean);
    assert.equal(existsSync(join(RUNDIR, 'exports/shows')), false);
  });

  it('show a folder of a volume from the first mount on, and a file of one', async () => {
    makeScripted('within', 'true', [
      '/volumes/within/data/sub srv none bind,create=dir 0 0',
      '/volumes/within/data/app.conf etc/app.conf none bind,optional,create=file 0 0',
      '/volumes/within/data/none etc/none none bind,optional,create=file 0 0',
      '/volumes/within/tools.squashfs/none mnt none bind,optional,create=dir 0 0',
    ]);
    const data = join(STORAGE, 'disks/permanent/within/data');
    const clean = traces();
    mkdirSync(data, { recursive: true });
    writeFileSync(join(data, 'app.conf'), 'its own\n');
    value(await rig.lxc.mount(allOf('within', KEPT_DATA, ['srv', 'etc/app.conf', 'etc/none', 'mnt'])));
    writeFileSync(join(data, 'sub/page'), 'page\n');
    const exported = join(RUNDIR, 'exports/within');
    assert.equal(readFileSync(join(exported, 'srv/page'), 'utf8'), 'page\n');
    assert.equal(readFileSync(join(exported, 'etc/app.conf'), 'utf8'), 'its own\n');
    await eventually('it is told', PATIENCE_MS, () => /within: \/mnt is not exported/.test(rig.output()));
    assert.deepEqual(rig.output().match(/(?<=within: )\S+(?= is not exported)/g), ['/etc/none', '/mnt']);
    assert.deepEqual(readdirSync(data).sort(), ['app.conf', 'sub']);
    value(await rig.lxc.start(startOf('within')));
    value(await rig.lxc.stop({ container: 'within', graceMs: 0 }));
    value(await rig.lxc.unmount({ container: 'within' }));
    assert.deepEqual(traces(), clean);
  });

  it('follow no link out of the container', async () => {
    makeScripted('escapes', 'ln -s /../../../../../../etc /data/out; ln -s loop /data/loop', []);
    await runToTheEnd('escapes', allOf('escapes'));
    await end('escapes');
    value(await rig.lxc.mount(allOf('escapes', [], ['data/out'])));
    const exported = join(RUNDIR, 'exports/escapes/data/out');
    assert.equal(existsSync(join(exported, 'machine-id')) || existsSync(join(exported, 'passwd')), false);
    value(await rig.lxc.unmount({ container: 'escapes' }));
    const clean = traces();
    const answer = await rig.lxc.mount(allOf('escapes', [], ['data/loop']));
    assert.ok(!answer.ok && answer.error.code === 'MOUNT_FAILED');
    assert.match(answer.error.reason, /symbolic links/);
    assert.deepEqual(traces(), clean);
  });
});
