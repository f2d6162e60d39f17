// Where everything of a container is. Pure.
//
// <rundir>/lxc/                     LXC's own path (lxc-start -P)
//   hooks.json                      which events have passed in this life of the tree, and the hook that runs
//   .resolv.conf                    /etc/resolv.conf of containers of pools that only read it (resolv-conf.ts)
//   .consoles/                      a tmpfs with a bound (console-folder.ts)
//     <container>/console.log       LXC appends to it; the log service punches holes into what it has read
//   .networks/monitors              the network namespace of LXC's monitors (monitor-networks.ts)
//             host                  the host's, which containers get to from there
//   .look                           the run whose files are looked at (look-guard.ts)
//   <container>/mount.json          what is mounted, written before the first mount
//              /volumes/<file>/     a squashfs of the revision, its root among them
//              /volumes/<volume>/   what it writes: a folder of a disk, or a tmpfs for persistence `boot`
//              /bases/<container>/<file>/  a squashfs of another container that it extends, mounted for it alone
//              /files/              what _config/<container> of the state lays over its root
//              /rootfs/             the overlay of root, files and volumes/lxc-overlay
//              /devices/dev         a tmpfs with the nodes that rules of its revision ask for: its /dev
//              /devices/made.json   which nodes these are
//              /resolv/resolv.conf  its own /etc/resolv.conf, in a tmpfs, where it may write that (resolv-copy.ts)
//              /sources/<n>         what LXC mounts from inside volumes and exports, and overlays of these, while the container is started
//              /config              the generated LXC configuration
//              /monitor.pid         LXC's: its monitor, removed by it at its end
//              /run.json            the run under way, or one whose end was not recorded yet
//              /exit.json           the end of the last run; stays until the next mount or start
//              /logs/console.log    of a run that a build before that started; LXC rotates it to console.log.1
//              /logs/lxc.log        of the run; the previous run's is lxc.log.1
//              /logs/file-<n>.log   what its files say; the older part is file-<n>.log.1
//              /tails.json          how far these files were copied
//              /look.json           how many services ended while they looked at them
// <rundir>/exports/<container>/     what a container exports; /exports/<container> in LXC configurations
// <rundir>/disks/<disk>/            mount point of a disk that has a file system of its own
//               /<disk>.zram       the number of its zram device, as long as that is there
// <storage>/disks/.formatting/<disk>  the device or image that is being formatted
//                /.tree.json       the id that this tree marks revisions with on disks that others use, too (gone-revisions.ts)
// <storage>/disks/permanent/<container>/<volume>/              and the same two on every other disk
// <storage>/disks/revision/<revision>/<container>/<volume>/
// <storage>/disks/perm/, rev/         the same two of Pantavisor (stock-volumes.ts)
import { join } from 'node:path';
import type { BaseVolume, NamedVolume } from '../../shared/schema/storage.ts';
import { cgroupPrefix } from './tree-name.ts';

/** Folders of disks that hold volumes by revision: ours, and Pantavisor's. */
export const REVISIONS = 'revision';
export const STOCK_REVISIONS = 'rev';

/** Paths without links: what is mounted is looked for by its path, and the kernel tells it so. */
export interface Places {
  readonly rundir: string;
  readonly storage: string;
  /** Where exports appear; <rundir>/exports when absent. */
  readonly exports?: string | undefined;
  /** Unlike that of any other tree on the machine; part of the names of control groups. */
  readonly tree: string;
}

export interface ContainerPlaces {
  readonly folder: string;
  readonly mountRecord: string;
  readonly runRecord: string;
  readonly exitRecord: string;
  readonly volumes: string;
  readonly bases: string;
  readonly files: string;
  readonly rootfs: string;
  readonly sources: string;
  readonly resolv: string;
  readonly devices: string;
  readonly exports: string;
  readonly config: string;
  readonly monitorPid: string;
  readonly logs: string;
  readonly consoleLog: string;
  readonly rotatedConsoleLog: string;
  readonly lxcLog: string;
  readonly tailRecord: string;
  readonly lookRecord: string;
  /** The first part of the names of its control groups. */
  readonly cgroup: string;
}

export function lxcPath({ rundir }: Places): string {
  return join(rundir, 'lxc');
}

/** No container has this name: none begins with a dot. */
export function consolesPath(places: Places): string {
  return join(lxcPath(places), '.consoles');
}

/** Nor this one. */
export function resolvConfPath(places: Places): string {
  return `${lxcPath(places)}/.resolv.conf`;
}

/** Nor this one. */
export function lookPath(places: Places): string {
  return `${lxcPath(places)}/.look`;
}

/** Whether `path`, below `lxcPath`, is in a folder that is no container's. */
export function isOwnFolder(places: Places, path: string): boolean {
  return path.startsWith(`${lxcPath(places)}/.`);
}

export function networksPath(places: Places): string {
  return join(lxcPath(places), '.networks');
}

export function monitorNetwork(places: Places): string {
  return join(networksPath(places), 'monitors');
}

export function hostNetwork(places: Places): string {
  return join(networksPath(places), 'host');
}

export interface StorageRoots {
  /** Holds <container>/volumes/<volume>. */
  readonly lxc: string;
  /** Holds <container>/<path>. */
  readonly exports: string;
}

/** What LXC configurations call /volumes and /exports. */
export function storageRoots(places: Places): StorageRoots {
  return { lxc: lxcPath(places), exports: exportsPath(places) };
}

export function exportsPath({ rundir, exports }: Places): string {
  return exports ?? join(rundir, 'exports');
}

export function openDisksPath({ rundir }: Places): string {
  return join(rundir, 'disks');
}

export function diskMountPoint(places: Places, disk: string): string {
  return join(openDisksPath(places), disk);
}

export const ZRAM_RECORD = '.zram';

export function zramRecord(places: Places, disk: string): string {
  return `${diskMountPoint(places, disk)}${ZRAM_RECORD}`;
}

/** Where volumes are that name no disk. */
export function storageDisk({ storage }: Places): string {
  return join(storage, 'disks');
}

/** No folder of volumes begins with a dot. */
export function formatRecord(places: Places, disk: string): string {
  return join(storageDisk(places), '.formatting', disk);
}

/** Folders of Berth that hold what containers write: their volumes, roots and exports. */
export function writtenPlaces(places: Places): readonly string[] {
  return [lxcPath(places), exportsPath(places), openDisksPath(places), storageDisk(places)];
}

export function treeRecord(places: Places): string {
  return join(storageDisk(places), '.tree.json');
}

/** A path as device.json writes it: /storage is the storage folder, wherever that is. */
export function devicePlace({ storage }: Places, path: string): string {
  return path === '/storage' || path.startsWith('/storage/') ? join(storage, path.slice('/storage'.length)) : path;
}

export function containerPlaces(places: Places, container: string): ContainerPlaces {
  // Names have no dots and slashes to be resolved, and each start of a container asks a dozen times.
  const folder = `${lxcPath(places)}/${container}`;
  const logs = `${folder}/logs`;
  return {
    folder,
    mountRecord: `${folder}/mount.json`,
    runRecord: `${folder}/run.json`,
    exitRecord: `${folder}/exit.json`,
    volumes: `${folder}/volumes`,
    bases: `${folder}/bases`,
    files: `${folder}/files`,
    rootfs: `${folder}/rootfs`,
    sources: `${folder}/sources`,
    resolv: `${folder}/resolv`,
    devices: `${folder}/devices`,
    exports: join(exportsPath(places), container),
    config: `${folder}/config`,
    monitorPid: `${folder}/monitor.pid`,
    logs,
    consoleLog: `${consolesPath(places)}/${container}/console.log`,
    rotatedConsoleLog: `${logs}/console.log`,
    lxcLog: `${logs}/lxc.log`,
    tailRecord: `${folder}/tails.json`,
    lookRecord: `${folder}/look.json`,
    // No folder is shared between containers, so nobody removes what somebody else is just about to use.
    cgroup: `${cgroupPrefix(places.tree)}${container}`,
  };
}

/** Not among its volumes: neither has a line of another container a way to it, nor does its name clash with one of these. */
export function basePlace({ bases }: ContainerPlaces, { container, file }: BaseVolume): string {
  return `${bases}/${container}/${file}`;
}

/** Of a checked-out revision. */
export function trailPath({ storage }: Places, revision: string, container: string, file: string): string {
  return join(storage, 'trails', revision, container, file);
}

interface KeptVolume extends NamedVolume {
  readonly persistence: 'permanent' | 'revision';
}

interface VolumeOwner {
  readonly container: string;
  readonly revision: string;
}

/** Of a volume, inside its disk. */
export function volumePath({ container, revision }: VolumeOwner, { name, persistence }: KeptVolume): string {
  return persistence === 'permanent' ? join('permanent', container, name) : join(REVISIONS, revision, container, name);
}

/** Where Pantavisor has it. */
export function stockVolumePath({ container, revision }: VolumeOwner, { name, persistence }: KeptVolume): string {
  return persistence === 'permanent' ? join('perm', container, name) : join(STOCK_REVISIONS, revision, container, name);
}
