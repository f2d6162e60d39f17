// The revision of the Debian containers: what people would write by hand for them, and the images beside it.
import { chmodSync, cpSync, linkSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Image } from './image.ts';

export const WEB = 'web';
export const MACHINE = 'machine';

export const IMAGES: readonly Image[] = [
  { name: WEB, packages: ['nginx-light', 'bsdutils'] },
  { name: MACHINE, packages: ['systemd-sysv', 'dbus', 'curl', 'bsdutils'] },
];

const DEVICE = {
  network: {
    pools: { debian: { type: 'bridge', bridge: 'pvdeb0', subnet: '10.0.6.0/24', gateway: '10.0.6.1', nat: true } },
  },
};

const ARGUMENTS: Readonly<Record<string, unknown>> = {
  [WEB]: {
    PV_GROUP: 'app',
    PV_RESTART_POLICY: 'container',
    PV_NETWORK_POOL: 'debian',
    PV_NETWORK_IP: '10.0.6.10',
    // nginx ends its workers on SIGQUIT once their requests are answered.
    PV_LXC_EXTRA_CONF: 'lxc.init.cmd = /usr/sbin/nginx -g "daemon off;"\nlxc.signal.halt = SIGQUIT',
  },
  [MACHINE]: {
    PV_GROUP: 'app',
    PV_RESTART_POLICY: 'container',
    PV_NETWORK_POOL: 'debian',
    PV_NETWORK_HOSTNAME: 'machine',
    // systemd halts on SIGRTMIN+3; it wants a control group of its own to write to.
    PV_LXC_EXTRA_CONF: 'lxc.init.cmd = /sbin/init\nlxc.signal.halt = SIGRTMIN+3\nlxc.mount.auto = cgroup:rw:force',
  },
};

/** Every ten seconds it fetches the other container's page and logs it. */
const FETCH_UNIT = `[Unit]
Description=Fetch a page from the container ${WEB}
[Service]
ExecStart=/bin/sh -c 'while :; do curl -s -m 5 http://10.0.6.10/ | logger -t fetch; sleep 10; done'
`;

const OVERLAYS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  [WEB]: {
    'var/www/html/index.html': 'a page of nginx on Debian\n',
    'etc/nginx/conf.d/log.conf': 'access_log syslog:server=unix:/dev/log,nohostname;\n',
  },
  [MACHINE]: {
    'etc/systemd/system/fetch.service': FETCH_UNIT,
    // Enabled without a symbolic link, which an overlay cannot hold.
    'etc/systemd/system/multi-user.target.d/fetch.conf': '[Unit]\nWants=fetch.service\n',
  },
};

/** A source folder for `berth pack`; the caller removes it. */
export function writeSource(images: ReadonlyMap<string, string>): string {
  const source = mkdtempSync(join(tmpdir(), 'berth-debian-'));
  chmodSync(source, 0o755);
  writeFileSync(join(source, 'device.json'), JSON.stringify(DEVICE));
  for (const [name, image] of images) {
    const folder = join(source, 'containers', name);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'args.json'), JSON.stringify(ARGUMENTS[name]));
    place(image, join(folder, 'root.squashfs'));
    for (const [path, text] of Object.entries(OVERLAYS[name] ?? {})) {
      const file = join(folder, 'config', path);
      mkdirSync(join(file, '..'), { recursive: true });
      writeFileSync(file, text);
    }
  }
  return source;
}

/** A second name where that can be, a copy where the cache is on another file system. */
function place(image: string, path: string): void {
  try {
    linkSync(image, path);
  } catch {
    cpSync(image, path);
  }
}
