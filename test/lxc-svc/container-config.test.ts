import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { unlimited } from '../../services/lxc-svc/cgroup-keys.ts';
import type { ConfigSettings } from '../../services/lxc-svc/config-draft.ts';
import { containerConfig } from '../../services/lxc-svc/container-config.ts';
import { needsHost } from '../../services/lxc-svc/network-needs.ts';
import { pantavisorSources } from '../../services/lxc-svc/pantavisor-mounts.ts';
import { boundFolders } from '../../services/lxc-svc/volume-mounts.ts';
import { parseLxcConfig } from '../../shared/lxc-config/parse.ts';

const SETTINGS: ConfigSettings = {
  container: 'app',
  hostname: 'app-host',
  network: { kind: 'netns', path: '/run/netns/app' },
  hostNetwork: '/run/berth/lxc/.networks/host',
  pidOf: () => undefined,
  rootfs: '/run/berth/lxc/app/rootfs',
  pantavisor: pantavisorSources(
    { rundir: '/run/berth', storage: '/storage' },
    { container: 'app', revision: '0', roles: [] },
    '/run/berth/ctl/app',
  ),
  devLog: true,
  consoleLog: '/run/berth/lxc/app/logs/console.log',
  lxcLog: '/run/berth/lxc/app/logs/lxc.log',
  tracesLxc: false,
  cgroup: 'berth.0.app',
  host: { v1: new Set(['devices', 'memory']), v2: new Set() },
  volumes: new Set(['root.squashfs', 'docker--var-lib', 'v']),
  storageRoots: { lxc: '/run/berth/lxc', exports: '/run/berth/exports' },
  sourcesFolder: '/run/berth/lxc/app/sources',
};
/** As the stock packager writes it. */
const STOCK = `
lxc.rootfs.path = overlayfs:/volumes/app/root.squashfs:/volumes/app/extra.squashfs:/volumes/app/lxc-overlay/upper
lxc.namespace.keep = user net ipc
lxc.init.cmd = /usr/bin/nginx -g "daemon off;"
lxc.init.cwd = /srv
lxc.environment = A=1
lxc.environment = B=2
lxc.mount.auto = proc sys:rw cgroup
lxc.mount.entry = /etc/resolv.conf etc/resolv.conf none bind,ro,create=file 0 0
lxc.mount.entry = tmpfs run tmpfs rw,nodev,relatime,mode=755 0 0
lxc.mount.entry = /volumes/app/docker--var-lib var/lib/x none bind,rw,create=dir 0 0
lxc.tty.max = 8
lxc.pty.max = 1024
lxc.cgroup.devices.allow = a
lxc.cap.drop = sys_module
`;

function generate(text: string, changes: Partial<ConfigSettings> = {}) {
  const { entries } = parseLxcConfig(text, 'conf');
  return containerConfig({ entries, sources: [], notes: [] }, { ...SETTINGS, ...changes });
}

function valuesOf(text: string, key: string, changes: Partial<ConfigSettings> = {}): string[] {
  return generate(text, changes).entries.flatMap((entry) => (entry.key === key ? [entry.value] : []));
}

describe('lxc configuration', () => {
  it('keeps the container’s own lines and their order', () => {
    assert.deepEqual(valuesOf(STOCK, 'lxc.environment'), ['A=1', 'B=2']);
    assert.deepEqual(valuesOf(STOCK, 'lxc.init.cmd'), ['/usr/bin/nginx -g "daemon off;"']);
    assert.deepEqual(valuesOf(STOCK, 'lxc.cap.drop'), ['sys_module']);
    assert.deepEqual(valuesOf(STOCK, 'lxc.pty.max'), ['1024']);
  });

  it('sets what is Berth’s, once', () => {
    const own =
      'lxc.uts.name = x\nlxc.log.level = 0\nlxc.console.path = none\nlxc.namespace.share.net = 1\nlxc.cgroup.dir = x';
    const both = `${STOCK}${own}`;
    assert.deepEqual(valuesOf(both, 'lxc.rootfs.path'), ['dir:/run/berth/lxc/app/rootfs']);
    assert.deepEqual(valuesOf(both, 'lxc.uts.name'), ['app-host']);
    assert.deepEqual(valuesOf(both, 'lxc.log.level'), ['DEBUG']);
    assert.deepEqual(valuesOf(both, 'lxc.log.level', { tracesLxc: true }), ['TRACE']);
    assert.deepEqual(valuesOf(both, 'lxc.namespace.share.net'), ['/run/netns/app']);
    assert.deepEqual(valuesOf(both, 'lxc.cgroup.dir'), []);
    assert.deepEqual(valuesOf(both, 'lxc.console.path'), []);
    assert.deepEqual(valuesOf('lxc.console.path = /dev/tty1', 'lxc.console.path'), ['/dev/tty1']);
    assert.ok(generate(both).notes.some((note) => note.startsWith('conf:16: lxc.uts.name')));
  });

  it('leaves out what only Pantavisor’s LXC knows, and says so', () => {
    const { entries, notes } = generate('lxc.tty.max = 6\nlxc.tty.min = 3');
    assert.deepEqual(
      entries.filter(({ key }) => key.startsWith('lxc.tty.')).map(({ key }) => key),
      ['lxc.tty.max'],
    );
    assert.deepEqual(
      notes.filter((note) => note.startsWith('conf:')),
      ['conf:2: lxc.tty.min = 3 dropped: LXC has no such key but on Pantavisor'],
    );
  });

  it('drops net from the kept namespaces', () => {
    assert.deepEqual(valuesOf(STOCK, 'lxc.namespace.keep'), ['user ipc']);
    assert.deepEqual(valuesOf('lxc.namespace.keep = net', 'lxc.namespace.keep'), []);
  });

  it('lets a container name itself that brings its own network', () => {
    const named = 'lxc.uts.name = mine';
    assert.deepEqual(valuesOf(named, 'lxc.uts.name', { network: { kind: 'legacy' } }), ['mine']);
    assert.deepEqual(valuesOf('', 'lxc.uts.name', { network: { kind: 'legacy' } }), ['app-host']);
  });

  it('gives each kind of network its lines', () => {
    const net = 'lxc.net.0.type = veth\nlxc.net.0.link = lxcbr0\nlxc.namespace.keep = user';
    const types = (network: ConfigSettings['network']) => [
      valuesOf(net, 'lxc.net.0.type', { network }),
      valuesOf(net, 'lxc.namespace.keep', { network }),
      valuesOf(net, 'lxc.namespace.share.net', { network }),
    ];
    assert.deepEqual(types({ kind: 'netns', path: '/n' }), [[], ['user'], ['/n']]);
    assert.deepEqual(types({ kind: 'none' }), [['empty'], ['user'], []]);
    assert.deepEqual(types({ kind: 'host' }), [[], ['user'], [SETTINGS.hostNetwork]]);
    assert.deepEqual(types({ kind: 'legacy' }), [['veth'], ['user'], []]);
  });

  it('leads a container to the host’s network whose own lines mean that of LXC’s monitor', () => {
    const legacy = { network: { kind: 'legacy' } } as const;
    const shared = (text: string) => valuesOf(text, 'lxc.namespace.share.net', legacy);
    for (const text of [
      STOCK,
      'lxc.namespace.clone = mnt',
      'lxc.net.0.type = none',
      'lxc.net.0.type = veth\nlxc.net =\nlxc.net.1.type = none',
    ])
      assert.deepEqual(shared(text), [SETTINGS.hostNetwork], text);
    for (const text of [
      '',
      'lxc.net.0.type = empty',
      'lxc.net.0.type = none\nlxc.net.1.type = veth',
      'lxc.namespace.keep = user\nlxc.net.0.type = none',
    ])
      assert.deepEqual(shared(text), [], text);
    assert.deepEqual(shared(`${STOCK}lxc.namespace.share.net = /run/netns/x`), ['/run/netns/x']);
    assert.deepEqual(valuesOf(STOCK, 'lxc.namespace.keep', legacy), ['user net ipc']);
  });

  it('has LXC’s monitor on the host’s network where it needs that', () => {
    const needs = (text: string, kind: 'legacy' | 'pool' = 'legacy') =>
      needsHost(parseLxcConfig(text, 'conf').entries, kind);
    for (const type of ['veth', 'phys', 'macvlan']) assert.ok(needs(`lxc.net.0.type = ${type}`), type);
    assert.ok(needs('lxc.net.0.type = empty\nlxc.net.0.script.up = /x'));
    for (const text of [
      STOCK,
      '',
      'lxc.net.0.type = empty',
      'lxc.net.0.type = veth\nlxc.net.0 =',
      'lxc.hook.mount = /x',
    ])
      assert.ok(!needs(text), text);
    assert.ok(!needs('lxc.net.0.type = veth', 'pool'));
    for (const hook of ['pre-start', 'start-host', 'stop', 'post-stop'])
      assert.ok(needs(`lxc.hook.${hook} = /x`, 'pool'), hook);
  });

  it('has the containers whose namespaces are shared by pid', () => {
    const changes = { pidOf: (container: string) => (container === 'first' ? 7 : undefined) };
    const shared = (value: string) =>
      valuesOf(`lxc.namespace.share.ipc = ${value}`, 'lxc.namespace.share.ipc', changes);
    assert.deepEqual(['first', 'other', '7', '/proc/1/ns/ipc'].flatMap(shared), [
      '/proc/7/ns/ipc',
      'other',
      '7',
      '/proc/1/ns/ipc',
    ]);
  });

  it('puts net into the cloned namespaces, and knows no user namespaces', () => {
    for (const kind of ['host', 'none'] as const) {
      assert.deepEqual(valuesOf('lxc.namespace.clone = pid user', 'lxc.namespace.clone', { network: { kind } }), [
        'pid net',
      ]);
    }
    const taken = 'lxc.namespace.clone = pid\nlxc.namespace.clone =\nlxc.namespace.keep = user net';
    assert.deepEqual(valuesOf(taken, 'lxc.namespace.keep'), ['user']);
    for (const kind of ['none', 'legacy'] as const)
      assert.deepEqual(valuesOf('lxc.namespace.keep = ipc', 'lxc.namespace.keep', { network: { kind } }), ['ipc user']);
  });

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
    assert.equal(laid, `${overlay?.place} var/x none bind,rw,nodev,create=dir 0 0`);
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

  it('asks for terminals where the container does not: without them nothing is logged', () => {
    assert.deepEqual(valuesOf('', 'lxc.pty.max'), ['1024']);
    assert.deepEqual(valuesOf('lxc.pty.max = 4', 'lxc.pty.max'), ['4']);
  });
});

describe('lxc configuration on hosts with either version of control groups', () => {
  const LINES =
    'lxc.cgroup.devices.deny = a\nlxc.cgroup.memory.limit_in_bytes = 1M\nlxc.cgroup2.memory.max = 1M\nlxc.cgroup.devices.allow = c 1:3 rwm';
  const keysOn = (v1: string[], v2: string[], text = LINES) =>
    generate(text, { host: { v1: new Set(v1), v2: new Set(v2) } })
      .entries.map(({ key }) => key)
      .filter((key) => /^lxc\.cgroup2?\.(?!dir)/.test(key));

  it('keeps version 1 lines on a version 1 host', () => {
    const keys = ['lxc.cgroup.devices.deny', 'lxc.cgroup.memory.limit_in_bytes', 'lxc.cgroup.devices.allow'];
    assert.deepEqual(keysOn(['devices', 'memory'], []), keys);
  });

  it('translates device rules for a version 2 host and drops what has no counterpart', () => {
    const keys = ['lxc.cgroup2.devices.deny', 'lxc.cgroup2.memory.max', 'lxc.cgroup2.devices.allow'];
    assert.deepEqual(keysOn([], ['devices', 'memory']), keys);
  });

  it('does not translate over device rules of the other version', () => {
    const both = 'lxc.cgroup.devices.allow = a\nlxc.cgroup2.devices.allow = c 1:3 rwm';
    assert.deepEqual(keysOn([], ['devices'], both), ['lxc.cgroup2.devices.allow']);
    assert.deepEqual(keysOn(['devices'], [], both), ['lxc.cgroup.devices.allow']);
    const cleared = 'lxc.cgroup.devices.allow = a\nlxc.cgroup.devices.allow =\nlxc.cgroup2.devices.allow = c 1:3 rwm';
    assert.equal(keysOn(['devices'], [], cleared).at(-1), 'lxc.cgroup.devices.allow');
  });

  it('takes each controller where a mixed host has it, and says what it drops', () => {
    const keys = ['lxc.cgroup.devices.deny', 'lxc.cgroup2.memory.max', 'lxc.cgroup.devices.allow'];
    assert.deepEqual(keysOn(['devices'], ['memory', 'devices']), keys);
    const { notes } = generate(LINES, { host: { v1: new Set(['devices']), v2: new Set(['memory']) } });
    assert.ok(notes.some((note) => note.startsWith('conf:2: lxc.cgroup.memory.limit_in_bytes dropped')));
  });

  it('tells of which controllers it has lines that nothing heeds', () => {
    const told = (text: string, v1: string[], v2: string[]) =>
      unlimited(parseLxcConfig(text, 'conf').entries, { v1: new Set(v1), v2: new Set(v2) });
    assert.deepEqual(told(LINES, ['devices'], []), ['memory']);
    assert.deepEqual(told(LINES, ['memory'], []), [], 'written for both versions');
    assert.deepEqual(told('lxc.cgroup2.pids.max = 10\nlxc.cgroup2.io.max = x', ['pids', 'blkio'], []), ['pids', 'io']);
    assert.deepEqual(told('lxc.cgroup.blkio.weight = 10\nlxc.cgroup2.io.weight = 10', [], ['io']), []);
    assert.deepEqual(told('lxc.cgroup2.pids.max = 10\nlxc.cgroup2.pids.max =\nlxc.cgroup.dir = x', [], []), []);
  });

  it('links /dev/log into the tmpfs that LXC mounts, unless run.json or the configuration forbid it', () => {
    const hooks = (own: string, settings: Partial<ConfigSettings> = {}) => valuesOf(own, 'lxc.hook.autodev', settings);
    const [hook = ''] = hooks('lxc.autodev = 1');
    assert.match(hook, /ln -sfn \/pantavisor\/dev-log "\$LXC_ROOTFS_MOUNT\/dev\/log"/);
    assert.deepEqual(hooks('lxc.hook.autodev = /own'), ['/own', hook]);
    assert.deepEqual(hooks('', { devLog: false }), []);
    assert.deepEqual(hooks('lxc.autodev = 0'), []);
    assert.match(valuesOf('lxc.autodev = 0', 'lxc.hook.mount')[0] ?? '', /ln -s \/pantavisor\/dev-log log/);
    assert.deepEqual(valuesOf('lxc.autodev = 0', 'lxc.hook.mount', { devLog: false }), []);
    for (const none of ['', '00', '0x0'])
      assert.equal(valuesOf(`lxc.autodev = ${none}`, 'lxc.hook.mount').length, 1, none);
  });
});
