// Where everything of a container is. Pure.
//
// <rundir>/lxc/                     LXC's own path (lxc-start -P)
//   <container>/mount.json          what is mounted, written before the first mount
//              /lower/              its root squashfs
//              /boot/               a tmpfs, for the writable layer with persistence `boot`
//              /rootfs/             the overlay of both
//              /config              the generated LXC configuration
//              /monitor.pid         LXC's: its monitor, removed by it at its end
//              /run.json            the run under way, or one whose end was not recorded yet
//              /exit.json           the end of the last run; stays until the next mount
//              /logs/console.log    LXC rotates it to console.log.1
//              /logs/lxc.log        of the run; the previous run's is lxc.log.1
// <storage>/disks/permanent/<container>/<volume>/
// <storage>/disks/revision/<revision>/<container>/<volume>/
import { join } from 'node:path';
import { cgroupPrefix } from './tree-name.ts';

export type Persistence = 'permanent' | 'revision' | 'boot';

export interface Places {
  readonly rundir: string;
  readonly storage: string;
  /** Unlike that of any other tree on the machine; part of the names of control groups. */
  readonly tree: string;
}

export interface ContainerPlaces {
  readonly folder: string;
  readonly mountRecord: string;
  readonly runRecord: string;
  readonly exitRecord: string;
  readonly lower: string;
  readonly boot: string;
  readonly rootfs: string;
  readonly config: string;
  readonly monitorPid: string;
  readonly logs: string;
  readonly consoleLog: string;
  readonly lxcLog: string;
  /** The first part of the names of its control groups. */
  readonly cgroup: string;
}

export function lxcPath({ rundir }: Places): string {
  return join(rundir, 'lxc');
}

export function containerPlaces(places: Places, container: string): ContainerPlaces {
  const folder = join(lxcPath(places), container);
  const logs = join(folder, 'logs');
  return {
    folder,
    mountRecord: join(folder, 'mount.json'),
    runRecord: join(folder, 'run.json'),
    exitRecord: join(folder, 'exit.json'),
    lower: join(folder, 'lower'),
    boot: join(folder, 'boot'),
    rootfs: join(folder, 'rootfs'),
    config: join(folder, 'config'),
    monitorPid: join(folder, 'monitor.pid'),
    logs,
    consoleLog: join(logs, 'console.log'),
    lxcLog: join(logs, 'lxc.log'),
    // No folder is shared between containers, so nobody removes what somebody else is just about to use.
    cgroup: `${cgroupPrefix(places.tree)}${container}`,
  };
}

/** Of a checked-out revision. */
export function trailPath({ storage }: Places, revision: string, container: string, file: string): string {
  return join(storage, 'trails', revision, container, file);
}

/** Of a volume; `lxc-overlay` is the writable layer over the root filesystem. */
export function volumePath(
  places: Places,
  { container, revision }: { readonly container: string; readonly revision: string },
  volume: string,
  persistence: Persistence,
): string {
  const disks = join(places.storage, 'disks');
  switch (persistence) {
    case 'permanent':
      return join(disks, 'permanent', container, volume);
    case 'revision':
      return join(disks, 'revision', revision, container, volume);
    case 'boot':
      return join(containerPlaces(places, container).boot, volume);
  }
}
