// What the LXC configuration says of mounts: volumes, exports, overlays, sources of others, and /pantavisor.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { boundFolders } from '../../services/lxc-svc/volume-mounts.ts';
import { parseLxcConfig } from '../../shared/lxc-config/parse.ts';
import { generate, SETTINGS, STOCK, valuesOf } from './generated-config.ts';

describe('mounts of an lxc configuration', () => {
  it('binds its volumes from where they are kept, and /pantavisor read-only', () => {
    const mounts = valuesOf(STOCK, 'lxc.mount.entry');
    assert.equal(mounts[0], '/etc/resolv.conf etc/resolv.conf none bind,ro,create=file 0 0');
    assert.equal(mounts[2], '/run/berth/lxc/app/volumes/docker--var-lib var/lib/x none bind,rw,create=dir 0 0');
    assert.match(mounts[3] ?? '', /^\/run\/berth\/ctl\/app pantavisor none bind,ro,.*create=dir 0 0$/);
  });

  it('finds volumes and exports of others, whatever they are, and makes no folder in them', () => {
    const lines = ['/volumes/data/media media none bind', '/exports/data/var/run/x\\040y x none bind,create=file'];
    const { entries, sources } = generate(lines.map((line) => `lxc.mount.entry = ${line} 0 0`).join('\n'));
    assert.deepEqual(
      entries.slice(0, 2).map(({ value }) => value),
      [
        '/run/berth/lxc/data/volumes/media media none bind 0 0',
        '/run/berth/lxc/app/sources/0 x none bind,create=file 0 0',
      ],
    );
    assert.deepEqual(
      sources.flatMap((source) => ('root' in source ? [source] : [])),
      [
        {
          name: '/exports/data/var/run/x y',
          place: '/run/berth/lxc/app/sources/0',
          root: '/run/berth/exports/data',
          inside: 'var/run/x y',
          isBerths: true,
          isMade: false,
          isOptional: false,
          isRecursive: false,
        },
      ],
    );
  });

  it('binds an overlay of volumes from where it mounts it, beside other sources, with what else the line says', () => {
    const lowers = ['/volumes/app/root.squashfs/x', '/volumes/o/v', '/usr/lib/lxc/rootfs/var/x', '/opt/y'];
    const layers = [`lowerdir=${lowers.join(':')}`, 'upperdir=/volumes/app/v/upper'];
    const options = ['rw', ...layers, 'workdir=/volumes/app//v/a/work', 'index=off', 'nodev', 'create=dir'];
    const lines = ['/volumes/app/v/a a none bind', `/volumes/app/v var/x overlay ${options.join(',')}`];
    const { entries, sources } = generate(lines.map((line) => `lxc.mount.entry = ${line} 0 0`).join('\n'));
    const [bound, laid] = entries.map(({ value }) => value);
    assert.deepEqual(
      sources.map(({ place }) => place).sort(),
      [0, 1].map((n) => `${SETTINGS.sourcesFolder}/${n}`),
    );
    const [overlay] = sources.flatMap((source) => ('lowers' in source ? [source] : []));
    assert.equal(laid, `${overlay?.place} var/x none bind,remount,rw,nodev,create=dir 0 0`);
    assert.ok(bound?.startsWith(SETTINGS.sourcesFolder) && !bound.startsWith(overlay?.place ?? ''));
    const volumes = '/run/berth/lxc/app/volumes';
    assert.deepEqual(
      overlay?.lowers.map(({ root, inside, isHosts }) => [root, inside, isHosts]),
      [
        [`${volumes}/root.squashfs`, 'x', false],
        ['/run/berth/lxc/o/volumes/v', '', false],
        [SETTINGS.rootfs, 'var/x', false],
        ['/', 'opt/y', true],
      ],
    );
    assert.deepEqual(overlay?.writable, { root: `${volumes}/v`, upper: 'upper', work: 'a/work' });
    assert.deepEqual([overlay?.layering, overlay?.device], [['index=off'], '/volumes/app/v']);
  });

  it('makes folders in volumes that a line asks for, and asks LXC for none', () => {
    const text = [
      'lxc.mount.entry = /volumes/app/v/sub a none bind,create=file,origin=mkdir 0 0',
      'lxc.mount.entry = /volumes/other/v/sub b none origin=mkdir,bind,ro,create=dir 0 0',
      'lxc.mount.entry = /exports/other/sub c none bind,origin=mkdir 0 0',
      'lxc.mount.entry = tmpfs d tmpfs rw,origin=mkdir,mode=755 0 0',
      'lxc.mount.entry = /srv e none origin=mkdir',
    ].join('\n');
    const { entries, sources } = generate(text);
    assert.deepEqual(
      sources.map((source) => 'inside' in source && [source.inside, source.isMade]),
      [
        ['sub', true],
        ['sub', true],
        ['sub', false],
      ],
    );
    const options = entries.filter(({ key }) => key === 'lxc.mount.entry').map(({ value }) => value.split(' ')[3]);
    for (const [at, expected] of [
      'bind,create=file',
      'bind,ro,create=dir',
      'bind',
      'rw,mode=755',
      'defaults',
    ].entries())
      assert.equal(options[at], expected);
  });

  it('mounts no overlay of a volume that is not there, and leaves one of the host to LXC', () => {
    const line = (volume: string, more = '') =>
      `lxc.mount.entry = overlay x overlay lowerdir=/volumes/app/v/l,upperdir=/volumes/app/${volume}/u,workdir=/volumes/app/${volume}/w${more} 0 0`;
    assert.throws(() => generate(line('none')), /^Error: conf:1: app has no volume 'none'$/);
    const { entries, sources } = generate(line('none', ',optional'));
    assert.deepEqual([entries.some(({ value }) => value.includes(' x ')), sources], [false, []]);
    const hosts = 'overlay x overlay lowerdir=/opt/a:/opt/b,create=dir 0 0';
    assert.equal(generate(`lxc.mount.entry = ${hosts}`).entries[0]?.value, hosts);
  });

  it('exports out of the volumes that LXC mounts, and of no line that it passes over', () => {
    const line = (target: string) => `lxc.mount.entry = /volumes/app/v/${target} ${target} none bind 0 0\n`;
    const { entries } = parseLxcConfig(`${line('a')}lxc.mount.entry =\n${line('b')}${line('/c')}`, 'conf');
    assert.deepEqual(
      boundFolders(entries, 'app', SETTINGS.storageRoots).map(({ target }) => target),
      ['b'],
    );
  });

  it('gives LXC no path in which a container could put a link', () => {
    const options = { '/volumes/app': 'bind', '/volumes/app/./v/a/b/': 'bind', '/volumes/o/v/f': 'rbind,optional' };
    const lines = Object.entries(options).map(([source, words]) => `lxc.mount.entry = ${source} x none ${words} 0 0`);
    const { entries, sources } = generate(lines.join('\n'));
    const places = [0, 1, 2].map((number) => `/run/berth/lxc/app/sources/${number}`);
    assert.deepEqual(
      entries.slice(0, 3).map(({ value }) => value.split(' ')[0]),
      places,
    );
    const all = { isBerths: true, isMade: false, isOptional: false, isRecursive: false };
    const [name = '', own = '', others = ''] = Object.keys(options);
    assert.deepEqual(sources, [
      { ...all, name, place: places[0], root: '/run/berth/lxc/app/volumes', inside: '' },
      {
        ...all,
        name: own,
        place: places[1],
        root: '/run/berth/lxc/app/volumes/v',
        inside: 'a/b',
        isBerths: false,
        isMade: true,
      },
      {
        ...all,
        name: others,
        place: places[2],
        root: '/run/berth/lxc/o/volumes/v',
        inside: 'f',
        isBerths: false,
        isOptional: true,
        isRecursive: true,
      },
    ]);
  });

  it('finds no volume of its own that there is not, which would be in memory, and goes on without an optional one', () => {
    const line = (source: string, more = '') => `lxc.mount.entry = ${source} x none bind${more} 0 0`;
    for (const source of ['/volumes/app/none', '/volumes/app//none/sub', '/volumes/app/./no\\040ne']) {
      assert.throws(
        () => generate(line(source)),
        /^Error: conf:1: \/volumes\/app\/\S* ?\S*: app has no volume 'no ?ne'$/,
      );
      const { entries, sources } = generate(line(source, ',optional'));
      assert.deepEqual([entries.some(({ value }) => value.includes('none x')), sources], [false, []]);
    }
  });

  it('leaves alone what would lead out of volumes and exports, and what only looks like one', () => {
    const sources = ['/volumes/app/../other', '/exports/app/a/../../b', '/volumes/../etc', '/volumes', '/volumesx/a/b'];
    const { entries } = generate(sources.map((source) => `lxc.mount.entry = ${source} x none bind 0 0`).join('\n'));
    assert.deepEqual(
      entries.slice(0, sources.length).map(({ value }) => value),
      sources.map((source) => `${source} x none bind 0 0`),
    );
  });

  it('does not let the container mount something else as /pantavisor', () => {
    const mounts = valuesOf('lxc.mount.entry = /evil /pantavisor/ none bind 0 0', 'lxc.mount.entry');
    assert.deepEqual(
      mounts.filter((value) => value.startsWith('/evil')),
      [],
    );
  });
});
