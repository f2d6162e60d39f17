// The revision that is rehearsed with: one container on a pool's network, as most are, of files that nobody looks into.
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const REHEARSED_CONTAINER = 'rehearsal';
/** Of the environment: the folder with what its image would hold. */
export const REHEARSED_ROOT = 'BERTH_REHEARSED_ROOT';

/** As stock packagers write it: what Berth owns, what it translates, and what goes through. */
const LXC_CONFIG = `lxc.rootfs.path = overlayfs:/volumes/${REHEARSED_CONTAINER}/root.squashfs:/volumes/${REHEARSED_CONTAINER}/lxc-overlay/upper
lxc.uts.name = ${REHEARSED_CONTAINER}
lxc.namespace.keep = user net ipc
lxc.init.cmd = /init
lxc.mount.auto = proc sys:rw cgroup
lxc.mount.entry = tmpfs run tmpfs rw,nodev,relatime,mode=755,create=dir 0 0
lxc.cgroup.devices.allow = a
lxc.signal.halt = SIGTERM
`;

const RUN = {
  '#spec': 'service-manifest-run@1',
  name: REHEARSED_CONTAINER,
  type: 'lxc',
  config: 'lxc.container.conf',
  'root-volume': 'root.squashfs',
  storage: { 'lxc-overlay': { persistence: 'boot' } },
  volumes: [],
  group: 'app',
  restart_policy: 'container',
  auto_recovery: { policy: 'always', max_retries: 0, retry_delay: 0, backoff_policy: 'never' },
  network: { mode: 'pool', pool: 'rehearsal' },
};

const POOL = { type: 'bridge', bridge: 'pvrehearsal0', subnet: '10.0.7.0/24', gateway: '10.0.7.1', nat: true };

/** As revision 0 of a storage. */
export function writeRehearsedRevision(storage: string): void {
  const state: Record<string, unknown> = {
    '#spec': 'pantavisor-service-system@1',
    'device.json': { network: { pools: { rehearsal: POOL } } },
    [`${REHEARSED_CONTAINER}/run.json`]: RUN,
  };
  const trail = join(storage, 'trails/0');
  for (const folder of [join(trail, '.pvr'), join(trail, REHEARSED_CONTAINER), join(storage, 'objects')]) {
    mkdirSync(folder, { recursive: true });
  }
  for (const [name, content] of [
    ['lxc.container.conf', LXC_CONFIG],
    ['root.squashfs', 'an image'],
  ] as const) {
    const sha = createHash('sha256').update(content).digest('hex');
    state[`${REHEARSED_CONTAINER}/${name}`] = sha;
    writeFileSync(join(trail, REHEARSED_CONTAINER, name), content);
    writeFileSync(join(storage, 'objects', sha), content);
  }
  writeFileSync(join(trail, '.pvr/json'), JSON.stringify(state));
}

/** What the image would hold: a script as init, and a shell that needs nothing else. */
export function writeRehearsedRoot(root: string): void {
  mkdirSync(join(root, 'bin'), { recursive: true });
  mkdirSync(join(root, 'etc'));
  const header = Buffer.alloc(64);
  // An ELF header without a program header (elf(5)): linked with nothing.
  header.write('\x7fELF\x02\x01\x01', 'latin1');
  writeFileSync(join(root, 'bin/sh'), header);
  writeFileSync(join(root, 'init'), '#!/bin/sh\n');
  for (const program of ['bin/sh', 'init']) chmodSync(join(root, program), 0o755);
}
