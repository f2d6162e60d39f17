// A container leaves links in folders of the host that it writes: none of them leads Berth, which follows paths as root, elsewhere on the host.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { createSources, dropSources, type MountSource } from '../../services/lxc-svc/mount-sources.ts';
import { readMountTable } from '../../services/lxc-svc/mount-table.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { HOST, useHostFolder } from './host-folder.ts';
import { RUNDIR, STORAGE, startOf, traces } from './rig.ts';
import { allOf, makeScripted, writeFiles } from './scripted.ts';

reexecInNamespaces(import.meta.filename);

const { rig, value, runToTheEnd, end, hosts } = useHostFolder();

const refusal = async (container: string): Promise<readonly string[]> => {
  value(await rig().lxc.mount(allOf(container)));
  const answer = await rig().lxc.start(startOf(container));
  assert.ok(!answer.ok && answer.error.code === 'START_FAILED');
  value(await rig().lxc.unmount({ container }));
  return [answer.error.step, answer.error.reason];
};

describe('sources below a folder of the host that a container writes', () => {
  it('are no folder of the host where the container has left a link', async () => {
    mkdirSync('/mnt/nest/sub', { recursive: true });
    makeScripted('nests', `echo its >/conf/shadow; busybox rm -rf /data/sub; busybox ln -s ${HOST} /data/sub`, [
      '/mnt/nest data none bind,create=dir 0 0',
      '/mnt/nest/sub conf none bind,create=dir 0 0',
    ]);
    await runToTheEnd('nests', allOf('nests'));
    await end('nests');
    const clean = traces();
    assert.deepEqual(await refusal('nests'), ['volumes', '/mnt/nest/sub is not there']);
    assert.equal(hosts(), 'the host’s\n');
    assert.deepEqual(traces(), clean);
  });

  it('are none either where another container writes it that is not started yet, and links of the host are followed', async () => {
    writeFiles('/mnt/both', { 'releases/5/name': 'five\n' });
    symlinkSync('releases/5', '/mnt/both/current');
    symlinkSync(HOST, '/mnt/both/away');
    symlinkSync('/mnt/both/releases', '/mnt/of-host/link');
    makeScripted('writer', 'true', ['/mnt/both data none bind,create=dir 0 0']);
    makeScripted('reader', 'cat /a/name /b/5/name /c/shadow', [
      '/mnt/both/current a none bind,create=dir 0 0',
      `${HOST}/link b none bind,create=dir 0 0`,
      `${HOST} c none bind,ro,create=dir 0 0`,
    ]);
    makeScripted('astray', 'true', ['/mnt/both/away a none bind,create=dir 0 0']);
    const runs = ['writer', 'reader', 'astray'].map((name) => [`${name}/run.json`, { name }]);
    writeFiles(join(STORAGE, 'trails/0'), { '.pvr/json': JSON.stringify(Object.fromEntries(runs)) });
    assert.match(await runToTheEnd('reader', allOf('reader')), /^five\nfive\nthe host’s$/m);
    await end('reader');
    assert.deepEqual(await refusal('astray'), ['volumes', '/mnt/both/away is not there']);
    rmSync(join(HOST, 'link'));
  });
});

describe('sources below a folder of the host that a container writes, in which the host has links', () => {
  it('are found where these stay in the folder, and across what the kernel links', async () => {
    writeFiles('/mnt/absolute', { 'releases/12/name': 'twelve\n' });
    symlinkSync('/mnt/absolute/releases/12', '/mnt/absolute/current');
    symlinkSync('/mnt/absolute', '/mnt/absolute/all');
    makeScripted('linked', 'cat /b/name; for f in /c/releases /lo/ifindex; do ls -d $f; done', [
      '/mnt/absolute data none bind,create=dir 0 0',
      '/mnt/absolute/current b none bind,create=dir 0 0',
      '/mnt/absolute/all c none bind,create=dir 0 0',
      '/sys/class net none bind,create=dir 0 0',
      '/sys/class/net/lo lo none bind,create=dir 0 0',
    ]);
    assert.match(await runToTheEnd('linked', allOf('linked')), /^twelve\n\/c\/releases\n\/lo\/ifindex$/m);
    await end('linked');
  });
});

describe('sources below /storage', () => {
  it('are in the storage folder, wherever that is', async () => {
    makeScripted('stores', 'ls /storage/trails/0/stores; cat /note; echo new >/storage/of-stores', [
      '/storage storage none bind,rw,create=dir 0 0',
      '/storage/cache/note note none bind,ro,create=file 0 0',
    ]);
    writeFiles(join(STORAGE, 'cache'), { note: 'kept\n' });
    assert.match(await runToTheEnd('stores', allOf('stores')), / root\.squashfs .*\nkept$/m);
    await end('stores');
    assert.equal(readFileSync(join(STORAGE, 'of-stores'), 'utf8'), 'new\n');
  });

  it('are no folder of the host where a container has left a link, in a volume or in the storage that it writes', async () => {
    const links = ['data/sub', 'storage/cache/sub'].map((path) => `busybox ln -s ${HOST} /${path}`);
    makeScripted('plants', links.join('; '), [
      '/volumes/plants/data data none bind,create=dir 0 0',
      '/storage storage none bind,rw,create=dir 0 0',
    ]);
    await runToTheEnd('plants', allOf('plants', [{ name: 'data', persistence: 'permanent' }]));
    await end('plants');
    for (const [container, below] of [
      ['of-volume', 'disks/permanent/plants/data/sub'],
      ['of-storage', 'cache/sub'],
    ] as const) {
      makeScripted(container, 'true', [`/storage/${below} conf none bind,create=dir 0 0`]);
      const runs = ['plants', container].map((name) => [`${name}/run.json`, { name }]);
      writeFiles(join(STORAGE, 'trails/0'), { '.pvr/json': JSON.stringify(Object.fromEntries(runs)) });
      assert.deepEqual(await refusal(container), ['volumes', `${join(STORAGE, below)} is not there`]);
    }
  });
});

describe('sources that are Berth’s own folders', () => {
  it('are read-only, so that no link takes the place of a mount point, and what is mounted in them is not', async () => {
    const script = 'for f in all/x exp/x exp/data/x its/x sub/x; do touch /$f && echo wrote $f; done; rmdir /all/data';
    makeScripted('owns', script, [
      '/volumes/owns all none bind,rw,create=dir 0 0',
      '/exports/owns exp none rbind,rw,create=dir 0 0',
      '/exports/owns/data its none bind,rw,create=dir 0 0',
      '/exports/owns/etc/app sub none bind,rw,create=dir 0 0',
    ]);
    const wanted = allOf('owns', [{ name: 'data', persistence: 'boot' }], ['data', 'etc/app/conf']);
    value(await rig().lxc.mount(wanted));
    mkdirSync(join(RUNDIR, 'lxc/owns/rootfs/etc/app/conf'), { recursive: true });
    value(await rig().lxc.unmount({ container: 'owns' }));
    const text = await runToTheEnd('owns', wanted);
    assert.deepEqual(text.match(/^wrote .*$/gm), ['wrote exp/data/x', 'wrote its/x']);
    assert.match(text, /rmdir: .*Read-only/);
    await end('owns');
  });
});

describe('sources where mounts propagate', () => {
  const [SHARED, PEER] = ['/mnt/shared', '/mnt/peer'];
  const FOLDER = join(SHARED, 'sources');
  const WITHIN = join(SHARED, 'volume/within');
  const source: MountSource = {
    name: 'volume',
    place: join(FOLDER, '0'),
    root: SHARED,
    inside: 'volume',
    isBerths: false,
    isMade: false,
    isOptional: false,
    isRecursive: true,
  };
  const isMounted = (path: string): boolean => readMountTable().some(({ target }) => target === path);

  before(() => {
    for (const folder of [SHARED, PEER]) mkdirSync(folder);
    execFileSync('mount', ['-t', 'tmpfs', '--make-shared', 'shared', SHARED]);
    execFileSync('mount', ['--bind', SHARED, PEER]);
    mkdirSync(WITHIN, { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', 'within', WITHIN]);
  });

  it('are bound where nobody else has them, and take nothing along when they go', () => {
    createSources(FOLDER)(source);
    assert.deepEqual([source.place, join(PEER, 'sources/0')].map(isMounted), [true, false]);
    execFileSync('umount', [join(source.place, 'within')]);
    assert.ok(isMounted(WITHIN));
    dropSources(FOLDER);
    assert.deepEqual([FOLDER, WITHIN].map(isMounted), [false, true]);
  });

  it('take nothing along either when whoever bound them was killed over it', () => {
    mkdirSync(FOLDER);
    execFileSync('mount', ['-t', 'tmpfs', '--make-private', 'berth-sources', FOLDER]);
    mkdirSync(source.place);
    execFileSync('mount', ['--rbind', join(SHARED, 'volume'), source.place]);
    dropSources(FOLDER);
    assert.deepEqual([FOLDER, WITHIN].map(isMounted), [false, true]);
  });
});
