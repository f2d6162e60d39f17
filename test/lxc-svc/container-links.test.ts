// A container leaves links in what it writes: none of them leads Berth, which follows paths as root, to the host's folders.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { createSources } from '../../services/lxc-svc/mount-sources.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { HOST, useHostFolder } from './host-folder.ts';
import { RUNDIR, STORAGE, startOf, traces } from './rig.ts';
import { allOf, makeScripted, writeFiles } from './scripted.ts';

reexecInNamespaces(import.meta.filename);

const { rig, value, runToTheEnd, end, hosts } = useHostFolder();

describe('exports below one another', () => {
  it('cover no folder of the host where the container has left a link', async () => {
    const link = `busybox rm -rf /data/sub; busybox ln -s ${HOST} /data/sub`;
    makeScripted('covers', `${link}; mkdir -p ${HOST}; echo its >${HOST}/shadow`, []);
    const wanted = allOf('covers', [], ['data/sub', 'data']);
    await runToTheEnd('covers', wanted);
    await end('covers');
    const clean = traces();
    value(await rig().lxc.mount(wanted));
    assert.equal(hosts(), 'the host’s\n');
    await eventually('it is told', PATIENCE_MS, () =>
      /covers: \/data\/sub is not exported: \/run\/.*\/data\/sub is a symbolic link/.test(rig().output()),
    );
    value(await rig().lxc.unmount({ container: 'covers' }));
    assert.deepEqual(traces(), clean);
  });
});

describe('a writable layer that is mounted in the container', () => {
  it('is no folder of the host where the container has left links', async () => {
    const links = ['upper', 'work'].map(
      (name) => `busybox mv /ov/${name} /ov/old-${name}; busybox ln -s ${HOST}/${name} /ov/${name}`,
    );
    makeScripted('layers', links.join('; '), ['/volumes/layers/lxc-overlay ov none bind,create=dir 0 0']);
    for (const name of ['upper', 'work']) mkdirSync(join(HOST, name));
    await runToTheEnd('layers', allOf('layers'));
    await end('layers');
    const clean = traces();
    const answer = await rig().lxc.mount(allOf('layers'));
    assert.ok(!answer.ok && answer.error.code === 'MOUNT_FAILED');
    assert.equal(answer.error.step, 'overlay');
    assert.match(answer.error.reason, /lxc-overlay\/upper is a symbolic link/);
    assert.deepEqual(readdirSync(join(HOST, 'work')), []);
    assert.deepEqual(traces(), clean);
  });
});

describe('sources below a volume', () => {
  const DATA = [{ name: 'data', persistence: 'permanent' as const }];
  const data = (container: string) => join(STORAGE, 'disks/permanent', container, 'data');

  it('are no folder of the host where the container has left a link', async () => {
    const script = `cat /conf/shadow; echo its >/conf/shadow; busybox rm -rf /mnt/conf; busybox ln -s ${HOST} /mnt/conf`;
    makeScripted('takes', script, [
      '/volumes/takes/data mnt none bind,create=dir 0 0',
      '/volumes/takes/data/conf conf none bind,create=dir 0 0',
    ]);
    const clean = traces();
    for (const round of ['first', 'second']) {
      assert.doesNotMatch(await runToTheEnd('takes', allOf('takes', DATA)), /the host’s/, round);
      await end('takes');
      assert.equal(hosts(), 'the host’s\n');
    }
    // As if the volume was the root.
    assert.equal(readFileSync(join(data('takes'), HOST, 'shadow'), 'utf8'), 'its\n');
    assert.deepEqual(traces(), clean);
  });

  it('are found through links that stay inside, of others too, and nothing of them stays mounted', async () => {
    const lines = [
      'data/current/name current none bind,create=file',
      'data/folder folder none bind,create=dir',
      'data/none none none bind,optional,create=dir',
      'data all none rbind,create=dir',
    ];
    makeScripted('keeps', 'true', []);
    value(await rig().lxc.mount(allOf('keeps', DATA)));
    writeFiles(data('keeps'), { 'releases/5/name': 'five\n', 'folder/file': 'f\n' });
    symlinkSync('releases/5', join(data('keeps'), 'current'));
    const entries = lines.map((line) => `/volumes/keeps/${line} 0 0`);
    makeScripted('finds', 'cat /current /folder/file /all/current/name; echo new >/folder/new', entries);
    value(await rig().lxc.mount(allOf('finds')));
    const mounted = traces().mounts;
    assert.match(await runToTheEnd('finds', allOf('finds')), /^five\nf\nfive$/m);
    assert.equal(traces().mounts, mounted);
    assert.equal(readFileSync(join(data('keeps'), 'folder/new'), 'utf8'), 'new\n');
    await end('finds');
    value(await rig().lxc.unmount({ container: 'keeps' }));
    assert.equal(existsSync(join(RUNDIR, 'lxc/finds/sources')), false);
  });

  it('are made on the host where a line says so, and a tmpfs takes such a line', async () => {
    makeScripted('begins', 'echo its >/new/file; echo its >/memory/file; cat /new/file /memory/file', [
      '/mnt/begins/new new none bind,origin=mkdir,create=dir 0 0',
      'tmpfs memory tmpfs rw,origin=mkdir,create=dir 0 0',
    ]);
    assert.match(await runToTheEnd('begins', allOf('begins')), /^its\nits$/m);
    await end('begins');
    assert.equal(readFileSync('/mnt/begins/new/file', 'utf8'), 'its\n');
  });

  it('that are not there are named, and nothing is left', async () => {
    makeScripted('misses', 'true', ['/volumes/misses/data/no/file etc/file none bind,create=file 0 0']);
    value(await rig().lxc.mount(allOf('misses', DATA)));
    const mounted = traces();
    const answer = await rig().lxc.start(startOf('misses'));
    assert.ok(!answer.ok && answer.error.code === 'START_FAILED');
    assert.deepEqual(
      [answer.error.step, answer.error.reason],
      ['volumes', '/volumes/misses/data/no/file is not there'],
    );
    assert.deepEqual(traces(), mounted);
    value(await rig().lxc.unmount({ container: 'misses' }));
  });

  it('of a start whose service was killed go with the next one, and with an unmount', async () => {
    makeScripted('killed', 'true', []);
    const clean = traces();
    value(await rig().lxc.mount(allOf('killed', DATA)));
    const mounted = traces();
    const folder = join(RUNDIR, 'lxc/killed/sources');
    const root = join(RUNDIR, 'lxc/killed/volumes/data');
    const more = { isBerths: false, isMade: false, isOptional: false, isRecursive: true };
    const bind = () => createSources(folder)({ name: 'data', place: join(folder, '0'), root, inside: '', ...more });
    bind();
    assert.equal(traces().mounts, mounted.mounts + 2);
    await rig().kill();
    await rig().spawn();
    await eventually('they are gone', PATIENCE_MS, () => !existsSync(folder));
    assert.deepEqual(traces(), mounted);
    bind();
    value(await rig().lxc.start(startOf('killed')));
    assert.deepEqual(traces().mounts, mounted.mounts);
    value(await rig().lxc.stop({ container: 'killed', graceMs: 0 }));
    bind();
    value(await rig().lxc.unmount({ container: 'killed' }));
    assert.deepEqual(traces(), clean);
  });
});

describe('mount points that LXC makes', () => {
  const entries = (container: string, more = '') => [
    `tmpfs mnt/made tmpfs rw,create=dir${more} 0 0`,
    `/volumes/${container}/data var none bind,create=dir 0 0`,
    `/etc/hosts var/deep/hosts none bind,create=file${more} 0 0`,
  ];
  const DATA = [{ name: 'data', persistence: 'permanent' as const }];
  const leaveLink = async (container: string, folder: string): Promise<void> => {
    await runToTheEnd(container, allOf(container, DATA));
    await end(container);
    value(await rig().lxc.mount(allOf(container, DATA)));
    const path = join(RUNDIR, 'lxc', container, folder);
    rmSync(path, { recursive: true });
    mkdirSync(join(HOST, container));
    symlinkSync(join(HOST, container), path);
  };

  it('are made nowhere on the host where the container has left a link', async () => {
    for (const [container, folder] of [
      ['target', 'rootfs/mnt'],
      ['deeper', 'volumes/data/deep'],
    ] as const) {
      makeScripted(container, 'true', entries(container));
      await leaveLink(container, folder);
      const answer = await rig().lxc.start(startOf(container));
      assert.ok(!answer.ok && answer.error.code === 'START_FAILED');
      assert.equal(answer.error.step, 'configuration');
      assert.match(
        answer.error.reason,
        /is no place to mount something: .* is a symbolic link, and LXC mounts through none: write where it leads to, or /,
      );
      assert.deepEqual(readdirSync(join(HOST, container)), []);
      value(await rig().lxc.unmount({ container }));
    }
  });

  it('are left out, and made nowhere, where the container starts without them', async () => {
    makeScripted('optional', 'ls -d /var/deep /mnt/made', entries('optional', ',optional'));
    await leaveLink('optional', 'rootfs/mnt');
    assert.match(await runToTheEnd('optional', allOf('optional', DATA)), /^\/var\/deep$/m);
    assert.deepEqual(readdirSync(join(HOST, 'optional')), []);
    await end('optional');
  });
});

describe('mount points below something that is mounted', () => {
  const DATA = [{ name: 'data', persistence: 'permanent' as const }];
  /** Of its second start, before which its first has left links to `hosts`, where nothing may be found afterwards. */
  const secondStart = async (container: string, script: string, lines: readonly string[], volumes = DATA) => {
    const hosts = join(HOST, container);
    mkdirSync(hosts);
    const entries = lines.map((line) => `${line} 0 0`);
    makeScripted(container, script.replaceAll('HOSTS', hosts), entries);
    const wanted = allOf(container, volumes);
    await runToTheEnd(container, wanted);
    await end(container);
    const clean = traces();
    value(await rig().lxc.mount(wanted));
    const answer = await rig().lxc.start(startOf(container));
    const started = answer.ok ? 'started' : 'step' in answer.error && answer.error.step;
    if (answer.ok) value(await rig().lxc.stop({ container, graceMs: 0 }));
    value(await rig().lxc.unmount({ container }));
    assert.deepEqual([readdirSync(hosts), traces()], [[], clean]);
    return started;
  };

  it('are made nowhere on the host where an optional volume’s own mount point is a link', async () => {
    const script = 'umount /data/cache/x; umount /data; busybox rmdir /data; busybox ln -s HOSTS /data';
    const lines = [
      '/volumes/own/data data none bind,optional,create=dir',
      'tmpfs data/cache/x tmpfs rw,optional,create=dir',
    ];
    assert.equal(await secondStart('own', script, lines), 'started');
  });

  it('are made nowhere on the host where an optional tmpfs’s own mount point is a link', async () => {
    const script =
      'busybox umount /mnt/made/name /mnt/made/deep/x /mnt/made; busybox rmdir /mnt/made; busybox ln -s HOSTS /mnt/made';
    const lines = [
      'tmpfs mnt/made tmpfs rw,optional,create=dir',
      'tmpfs mnt/made/deep/x tmpfs rw,optional,create=dir',
      '/etc/hosts mnt/made/name none bind,optional,create=file',
    ];
    assert.equal(await secondStart('inner', script, lines, []), 'started');
  });

  it('are made nowhere on the host where nothing is mounted, as the optional source is not there', async () => {
    const script =
      'umount /made/deep/x; umount /made/deep/file; busybox rm -rf /made/deep; busybox ln -s HOSTS /made/deep';
    const lines = [
      '/mnt/none made none bind,optional,create=dir',
      'tmpfs made/deep/x tmpfs rw,optional,create=dir',
      '/etc/hosts made none bind,optional',
      '/etc/hosts made/deep/file none bind,optional,create=file',
    ];
    assert.equal(await secondStart('nothing', script, lines), 'started');
  });

  it('are made nowhere on the host where a folder of the host has a link of the container', async () => {
    mkdirSync('/mnt/srv');
    const script = 'umount /data/cache/x; busybox rm -rf /data/cache; busybox ln -s HOSTS /data/cache';
    const lines = ['/mnt/srv data none bind,create=dir', 'tmpfs data/cache/x tmpfs rw,create=dir'];
    assert.equal(await secondStart('srv', script, lines), 'configuration');
  });

  it('are made as LXC would make them', async () => {
    mkdirSync('/mnt/shown/kept', { recursive: true });
    writeFileSync('/mnt/shown/name', 'shown\n');
    makeScripted(
      'makes',
      'busybox grep -o " /m/[^ ]* [a-z0-9]* r[ow]" /proc/mounts; cat /m/file /m/c/name; ls -a /m/c',
      [
        'tmpfs m/a tmpfs rw,create=dir 0 0',
        'tmpfs m/a/deep/b tmpfs rw,create=dir 0 0',
        'tmpfs m/b/../b tmpfs rw,create=dir 0 0',
        '/volumes/makes/data m/data none bind,create=dir 0 0',
        'tmpfs m/data/x/y tmpfs ro,create=dir 0 0',
        '/etc/hosts m/file none bind,create=file 0 0',
        '/mnt/shown/name m/file none bind,create=file 0 0',
        '/mnt/shown m/c none bind,ro,create=dir 0 0',
        'tmpfs m/c/kept tmpfs rw,create=dir 0 0',
        'tmpfs m/c/none tmpfs rw,optional,create=dir 0 0',
        'tmpfs m/b/none tmpfs rw,optional 0 0',
      ],
    );
    for (const round of ['first', 'second']) {
      const text = await runToTheEnd('makes', allOf('makes', DATA));
      const seen = text.match(/^ \/m\/\S+/gm)?.map((line) => line.trim());
      assert.deepEqual(
        seen,
        ['/m/a', '/m/a/deep/b', '/m/b', '/m/data', '/m/data/x/y', '/m/file', '/m/file', '/m/c', '/m/c/kept'],
        round,
      );
      assert.match(text, /^shown\nshown\n\. +\.\. +kept +name$/m);
      await end('makes');
    }
    assert.deepEqual(readdirSync('/mnt/shown'), ['kept', 'name']);
  });
});

describe('a source that is a path of the container’s', () => {
  it('is none of the host where the container has left a link', async () => {
    makeScripted('relates', `cat /m/shadow; busybox rm -rf /src; busybox ln -s ${HOST} /src`, [
      'src m none bind,relative,optional,create=dir 0 0',
    ]);
    for (const round of ['first', 'second']) {
      assert.doesNotMatch(await runToTheEnd('relates', allOf('relates')), /the host’s/, round);
      await end('relates');
    }
  });
});

describe('a source that is in a volume of the container', () => {
  it('is bound before others can make a link of it, and stays as its volume is mounted', async () => {
    const script = 'cat /m/name; touch /m/no || echo ro; busybox grep -o " /[om] [a-z0-9]* [^ ]*" /proc/mounts';
    makeScripted('within', script, [
      '/volumes/within/data data none bind,ro,nosuid,create=dir 0 0',
      'tmpfs data/tmp tmpfs rw,optional 0 0',
      'data/sub m none bind,rw,relative,create=dir 0 0',
      'data/none n none bind,relative,optional,create=dir 0 0',
    ]);
    const wanted = allOf('within', [{ name: 'data', persistence: 'permanent' }]);
    writeFiles(join(STORAGE, 'disks/permanent/within/data/sub'), { name: 'sub\n' });
    const text = await runToTheEnd('within', wanted);
    assert.match(text, /^sub$/m);
    assert.match(text, /^ro$/m);
    assert.match(text, /^ \/m tmpfs ro,nosuid/m);
    const config = readFileSync(join(RUNDIR, 'lxc/within/config'), 'utf8');
    assert.match(config, /lxc\/within\/sources\/0 m none bind,rw,ro,nosuid 0 0$/m);
    await end('within');
  });
});
