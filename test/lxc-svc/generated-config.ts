// A container's LXC configuration, generated where all else is as usual.
import type { ConfigSettings } from '../../services/lxc-svc/config-draft.ts';
import { containerConfig } from '../../services/lxc-svc/container-config.ts';
import { pantavisorSources } from '../../services/lxc-svc/pantavisor-sources.ts';
import { parseLxcConfig } from '../../shared/lxc-config/parse.ts';

export const SETTINGS: ConfigSettings = {
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
  oomScore: 0,
  host: { v1: new Set(['devices', 'memory']), v2: new Set() },
  volumes: new Set(['root.squashfs', 'docker--var-lib', 'v']),
  storageRoots: { lxc: '/run/berth/lxc', exports: '/run/berth/exports' },
  sourcesFolder: '/run/berth/lxc/app/sources',
};
/** As the stock packager writes it. */
export const STOCK = `
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

export function generate(text: string, changes: Partial<ConfigSettings> = {}) {
  const { entries } = parseLxcConfig(text, 'conf');
  return containerConfig({ entries, sources: [], notes: [] }, { ...SETTINGS, ...changes });
}

export function valuesOf(text: string, key: string, changes: Partial<ConfigSettings> = {}): string[] {
  return generate(text, changes).entries.flatMap((entry) => (entry.key === key ? [entry.value] : []));
}
