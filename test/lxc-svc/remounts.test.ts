// Options that a revision gives the mounts of a container: on which lines they come, and what the kernel says of the mounts.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { withRemountedBinds } from '../../services/lxc-svc/remounted-binds.ts';
import { withRemounts } from '../../shared/lxc-config/remounts.ts';
import type { Remount } from '../../shared/schema/remounts.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { openRig, type Rig } from './rig.ts';
import { allOf, end, makeScripted, runToTheEnd } from './scripted.ts';

reexecInNamespaces(import.meta.filename);

const of = (place: string, ...options: Remount['options']): Remount => ({ policy: 'default', place, options });

describe('lxc-config.withRemounts', () => {
  const entryOf = (value: string) => ({ key: 'lxc.mount.entry', value });
  const valuesOf = (values: readonly string[], remounts: readonly Remount[]): readonly string[] =>
    withRemounts(values.map(entryOf), remounts).map(({ value }) => value);

  it('puts an option in place of its opposite, the last one that is meant', () => {
    const lines = [
      '/a srv none bind,rw,create=dir 0 0',
      'tmpfs /srv tmpfs rw 0 0',
      'tmpfs srv/in tmpfs suid,size=1m 0 0',
    ];
    const remounts = [of('/srv.*', 'nosuid', 'nodev'), of('/srv', 'ro', 'dev'), of('srv', 'noexec')];
    assert.deepEqual(valuesOf(lines, remounts), [
      '/a srv none bind,create=dir,remount,nosuid,ro,dev 0 0',
      'tmpfs /srv tmpfs rw 0 0',
      'tmpfs srv/in tmpfs size=1m,nosuid,nodev 0 0',
    ]);
  });

  it('means the root by a slash alone, and by what matches nothing', () => {
    const before = [{ key: 'lxc.rootfs.options', value: 'rw,noatime' }];
    const after = { key: 'lxc.rootfs.options', value: 'noatime,ro' };
    for (const place of ['/', '', '.*', '(/run)?']) {
      assert.deepEqual(withRemounts(before, [of(place, 'ro')]), [...before, after], place);
    }
    for (const place of ['/.*', '/run']) assert.deepEqual(withRemounts(before, [of(place, 'ro')]), before, place);
  });
});

describe('lxc-svc.withRemountedBinds', () => {
  const bound = (options: string): readonly unknown[] => {
    const asked: unknown[] = [];
    const line = { key: 'lxc.mount.entry', value: `/run srv none ${options} 0 0` };
    withRemountedBinds([line], (...request) => {
      asked.push(request);
      return '/place';
    });
    return asked;
  };

  it('binds again what is bound so, with all that its options forbid', () => {
    assert.deepEqual(bound('bind,remount,nosuid,noexec,noatime'), [
      ['/run', { set: 0x2 | 0x8 | 0x10, clear: 0x70 }, false],
    ]);
    assert.deepEqual(bound('rbind,remount,relatime'), [['/run', { set: 0, clear: 0x70 }, true]]);
  });

  it('leaves alone what forbids nothing that LXC does not heed, and what is no bind of the host', () => {
    for (const options of ['bind,nosuid', 'bind,remount,ro', 'remount,nosuid', 'bind,remount,relative,nosuid'])
      assert.deepEqual(bound(options), [], options);
    assert.deepEqual(bound('bind,remount,constructor,toString'), []);
  });
});

describe('lxc.start with remounts', () => {
  let rig: Rig;
  before(async () => {
    rig = await openRig();
    await rig.spawn();
  });
  after(() => rig.close());

  it('mounts the root, a tmpfs and a folder of a volume so, and nothing by another policy', async () => {
    const look = [
      'busybox awk \'{ print "at", $5, $6 }\' /proc/self/mountinfo',
      'touch /no || echo root',
      'touch /run/yes /srv/yes /pantavisor/no',
    ].join('\n');
    const kept = '/volumes/meek/kept/srv srv none bind,rw,create=dir 0 0';
    makeScripted('meek', look, [kept]);
    const wanted = allOf('meek', [{ name: 'kept', persistence: 'permanent' }]);
    const other = { ...of('/.*', 'ro'), policy: 'field' };
    const remounts = [
      other,
      of('/.*', 'nosuid'),
      of('/', 'ro', 'nodev'),
      of('/run', 'noexec'),
      of('/pantavisor', 'rw'),
    ];
    const said = await runToTheEnd(rig, 'meek', wanted, { remounts });
    assert.match(said, /^at \/ ro,nodev,relatime$/m);
    assert.match(said, /^at \/run rw,nosuid,nodev,noexec,relatime$/m);
    assert.match(said, /^at \/srv rw,nosuid,relatime$/m);
    assert.match(said, /^at \/opt ro,nosuid,/m);
    assert.match(said, /^at \/pantavisor ro,/m);
    assert.match(said, /\/no: Read-only file system\nroot\n.*\/pantavisor\/no: Read-only file system\n/);
    assert.doesNotMatch(said, /yes/);
    await end(rig, 'meek');
    assert.match(await runToTheEnd(rig, 'meek', wanted), /^at \/ rw,relatime$/m);
    await end(rig, 'meek');
  });
});
