import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { unlimited } from '../../services/lxc-svc/cgroup-keys.ts';
import type { ConfigSettings } from '../../services/lxc-svc/config-draft.ts';
import { needsHost } from '../../services/lxc-svc/network-needs.ts';
import { parseLxcConfig } from '../../shared/lxc-config/parse.ts';
import { generate, SETTINGS, STOCK, valuesOf } from './generated-config.ts';

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

  it('says what a container counts for when memory is short, unless its own lines do', () => {
    const scores = (text: string): string[] => valuesOf(text, 'lxc.proc.oom_score_adj', { oomScore: 900 });
    assert.deepEqual(scores(STOCK), ['900']);
    assert.deepEqual(scores('lxc.proc.oom_score_adj = -500'), ['-500']);
    assert.deepEqual(scores('lxc.proc.oom_score_adj = -500\nlxc.proc ='), ['-500', '900']);
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
