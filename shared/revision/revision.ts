// A revision after validation: what the documents of reference formats mean, in our own words and with every default filled in.
import type { RestartPolicy, Role, StatusGoal } from '../schema/api.ts';
import type { ContainerLogFile } from '../schema/logs.ts';
import type { Pool, Reservation } from '../schema/network.ts';
import type { Remount } from '../schema/remounts.ts';
import type { BaseVolume, Disk, NamedVolume } from '../schema/storage.ts';

/** One thing that is wrong. `path` is a JSON path such as `device.json.network.pools.internal.gateway`, or `<container>/lxc.container.conf:12`. */
export interface Problem {
  readonly path: string;
  /** UPPER_SNAKE. */
  readonly code: string;
  /** Names the thing, the value and the way out. */
  readonly message: string;
}

export interface PlacedDisk {
  readonly disk: Disk;
  /** JSON path. */
  readonly path: string;
}

export interface AutoRecovery {
  readonly policy: 'no' | 'always' | 'on-failure' | 'unless-stopped';
  /** 0 = unlimited. */
  readonly maxRetries: number;
  readonly retryDelaySeconds: number;
  readonly backoffFactor: number;
  /** Uptime after which the retry counter starts over; 0: never by uptime. */
  readonly resetWindowSeconds: number;
  readonly stableTimeoutSeconds: number;
  /** As written: `reboot`, `never` or a duration. */
  readonly backoffPolicy: string;
}

export interface Group {
  readonly name: string;
  readonly statusGoal: StatusGoal;
  readonly restartPolicy: RestartPolicy;
  /** Undefined: as long as an update is given for its goals. */
  readonly timeoutSeconds: number | undefined;
  readonly autoRecovery: AutoRecovery | undefined;
}

export interface PoolInterface {
  readonly interface: string;
  readonly pool: string;
  readonly address: string | undefined;
  readonly mac: string | undefined;
}

/** `legacy`: no network block; LXC does what the container's own `lxc.net.*` lines say. */
export type NetworkPlan =
  | { readonly mode: 'pool'; readonly interfaces: readonly PoolInterface[] }
  | { readonly mode: 'host' }
  | { readonly mode: 'none' }
  | { readonly mode: 'legacy' };

export interface StoragePlan {
  /** File names of further squashfs volumes in the container's folder, without a `dm:` prefix. */
  readonly squashfs: readonly string[];
  /** What it writes; `lxc-overlay`, the writable layer over its root filesystem, is always among them. */
  readonly volumes: readonly NamedVolume[];
  /** Those under its volumes, and all swap. */
  readonly disks: readonly Disk[];
  /** Paths inside the container that others may mount. */
  readonly exports: readonly string[];
}

/** Of bsp/drivers.json: `all`, `dtb:<device tree>` or `ovl:<overlay>`. */
export interface DriverSection {
  readonly name: string;
  /** Driver → lines with a module and its options. */
  readonly drivers: ReadonlyMap<string, readonly string[]>;
}

/** Names of drivers. */
export interface DriverNeeds {
  /** Without one of these the container is not started. */
  readonly required: readonly string[];
  readonly optional: readonly string[];
  /** Loaded when somebody asks. */
  readonly manual: readonly string[];
}

export interface ContainerPlan {
  readonly name: string;
  readonly group: string;
  readonly statusGoal: StatusGoal;
  readonly restartPolicy: RestartPolicy;
  readonly roles: readonly Role[];
  /** File name in the container's folder, without a `dm:` prefix. */
  readonly rootVolume: string;
  /** What of other containers its root lies over, and which object that is: an extension follows another one of these. */
  readonly bases: readonly (BaseVolume & { readonly sha256: string })[];
  /** File name of the LXC configuration in the container's folder; undefined: it is only mounted. */
  readonly config: string | undefined;
  readonly storage: StoragePlan;
  readonly hostname: string;
  readonly drivers: DriverNeeds;
  /** By which it gets device nodes (device-rule.ts); undefined: LXC's few. */
  readonly deviceRules: readonly string[] | undefined;
  /** Of all policies, those of the device first. */
  readonly remounts: readonly Remount[];
  /** Whether its /dev/log leads to the log service; undefined: as PV_LOG_AUTO_DEVLOG says. */
  readonly devLog: boolean | undefined;
  /** Whether it finds firmware and modules of the host's kernel in its /lib. */
  readonly automodfw: boolean;
  /** Of the container: what it writes to them is part of its log. */
  readonly logFiles: readonly ContainerLogFile[];
  readonly network: NetworkPlan;
  readonly autoRecovery: AutoRecovery | undefined;
}

export interface Revision {
  /** In start order. */
  readonly groups: readonly Group[];
  readonly pools: readonly Pool[];
  /** With the JSON paths at which they are written. */
  readonly disks: readonly PlacedDisk[];
  readonly drivers: readonly DriverSection[];
  /** In alphabetical order. */
  readonly containers: readonly ContainerPlan[];
  /** Statics and legacy addresses of all containers, running or not. */
  readonly reservations: readonly Reservation[];
  /** Path inside the revision → sha256. */
  readonly objects: ReadonlyMap<string, string>;
  /** Keys that nothing interprets; kept, and worth a debug line. */
  readonly ignored: readonly string[];
}

export type ParsedRevision =
  | { readonly ok: true; readonly revision: Revision; readonly warnings: readonly Problem[] }
  | { readonly ok: false; readonly problems: readonly Problem[] };
