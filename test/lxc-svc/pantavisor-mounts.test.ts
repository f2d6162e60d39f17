// Which folders a container finds under /pantavisor, by its role, as lines of its configuration.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { ConfigSettings } from '../../services/lxc-svc/config-draft.ts';
import { pantavisorMounts } from '../../services/lxc-svc/pantavisor-mounts.ts';
import { pantavisorSources, pathOf } from '../../services/lxc-svc/pantavisor-sources.ts';
import { type Role, role } from '../../shared/schema/api.ts';
import { containerName, revisionName } from '../../shared/schema/names.ts';

const TREES = { rundir: '/run/berth', storage: '/storage' };
const sourcesOf = (container: string, revision: string, roles: readonly Role[]) =>
  pantavisorSources(TREES, { container, revision, roles }, `/run/berth/ctl/${container}`);

function linesOf(roles: readonly Role[], own: readonly string[] = []): string[] {
  const settings: ConfigSettings = {
    container: 'web',
    hostname: 'web',
    network: { kind: 'none' },
    hostNetwork: '/run/berth/lxc/.networks/host',
    pidOf: () => undefined,
    rootfs: '/r',
    consoleLog: '/c',
    lxcLog: '/l',
    tracesLxc: false,
    oomScore: 0,
    devLog: true,
    cgroup: 'g',
    volumes: new Set(),
    host: { v1: new Set(), v2: new Set() },
    storageRoots: { lxc: '/l', exports: '/e' },
    sourcesFolder: '/s',
    pantavisor: sourcesOf('web', 'locals/first', roles),
  };
  const entries = own.map((value) => ({ key: 'lxc.mount.entry', value }));
  const draft = pantavisorMounts({ entries, sources: [], notes: [] }, settings);
  return draft.entries.map(({ key, value }) => `${key} = ${value}`);
}

describe('pantavisor mounts', () => {
  it('give nobody its own sockets, logs of this revision, and its view of the metadata', () => {
    const options = 'none bind,ro,nosuid,nodev,noexec';
    assert.deepEqual(linesOf(['nobody']), [
      `lxc.mount.entry = /run/berth/ctl/web pantavisor ${options},create=dir 0 0`,
      `lxc.mount.entry = /storage/logs/locals/first/web pantavisor/logs ${options} 0 0`,
      `lxc.mount.entry = /run/berth/meta/web/user-meta pantavisor/user-meta ${options} 0 0`,
      `lxc.mount.entry = /run/berth/meta/web/device-meta pantavisor/device-meta ${options} 0 0`,
    ]);
  });

  it('give mgmt all logs', () => {
    assert.deepEqual(
      linesOf(['mgmt']).filter((line) => line.includes('/logs')),
      ['lxc.mount.entry = /storage/logs pantavisor/logs none bind,ro,nosuid,nodev,noexec 0 0'],
    );
  });

  it('come after the container’s own lines, whose mount of /pantavisor itself is left out', () => {
    const own = [
      '/etc pantavisor none bind 0 0',
      '/etc /pantavisor/ none bind 0 0',
      '/x pantavisor/logs none bind 0 0',
    ];
    assert.deepEqual(linesOf([], own).slice(0, 2), [
      'lxc.mount.entry = /x pantavisor/logs none bind 0 0',
      'lxc.mount.entry = /run/berth/ctl/web pantavisor none bind,ro,nosuid,nodev,noexec,create=dir 0 0',
    ]);
  });

  it('never share a source between two containers without role mgmt, nor hold one inside the other', () => {
    const name = fc.stringMatching(/^[a-c][a-c.-]{0,3}$/).filter((text) => containerName.safeParse(text).success);
    const revision = fc
      .constantFrom('0', '1', 'locals/a', 'a', 'locals/-v1.0+b3~@=')
      .filter((text) => revisionName.safeParse(text).success);
    fc.assert(
      fc.property(name, name, revision, revision, (a, b, revisionA, revisionB) => {
        fc.pre(a !== b);
        const paths = (each: string, of: string) => {
          const { sockets, shown } = sourcesOf(each, of, [role.parse('nobody')]);
          return [sockets, ...Object.values(shown).map(pathOf)];
        };
        for (const one of paths(a, revisionA)) {
          for (const other of paths(b, revisionB)) assert.ok(!`${one}/`.startsWith(`${other}/`), `${one} in ${other}`);
        }
      }),
    );
  });
});
