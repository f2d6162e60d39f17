// What tests see and say of the services beside state-svc, which peers.ts plays.
import type { lxcContract } from '../../services/lxc-svc/contract.ts';
import type { Params, ServiceName } from '../../shared/ipc/contract.ts';
import type { MemoryBus } from '../../shared/ipc/memory-bus.ts';
import type { Board } from '../../shared/schema/drivers.ts';
import type { ExitStatus } from '../../shared/schema/exit.ts';
import type { InterfacesByPool, Pool, Reservation } from '../../shared/schema/network.ts';

export interface Kept {
  revision: string;
  mounted: boolean;
  /** `sinceMs`: of the clock's elapsedMs. */
  running: { pid: number; startedMs: number; sinceMs: number } | undefined;
  exit: { pid: number; status: ExitStatus; atMs: number } | undefined;
}

/** `refuse`: a declared error, nothing done. `die`: the service is gone before it could answer, once. `throw`: a bug. */
export type Trouble = 'refuse' | 'die' | 'throw';

export interface World {
  /** `lxc.mount a`, in the order in which they came. */
  readonly calls: string[];
  readonly containers: Map<string, Kept>;
  /** Of each stop, milliseconds. */
  readonly graces: number[];
  /** Container → address of its first interface. */
  readonly leases: Map<string, string>;
  readonly attachments: Set<string>;
  /** Of the kernel. */
  readonly loadedModules: Set<string>;
  board: Board;
  /** Container → mounts of it that are in use when it is unmounted. */
  readonly busyMounts: Map<string, readonly string[]>;
  /** What hooks were told, in the order in which it came. */
  readonly hooks: Params<(typeof lxcContract)['requests']['runHooks']>[];
  /** As ipam-svc was told last. */
  reservations: readonly Reservation[];
  /** `<step> <container>` → what happens there; a `die` happens once. */
  readonly troubles: Map<string, Trouble>;
  /** Its init ends before lxc-svc answers the start; once. */
  readonly diesAtOnce: Set<string>;
  /** ipam-svc says that a reserved address is somebody else's. */
  addressTaken: boolean;
  /** As ipam-svc was told last. */
  pools: readonly Pool[];
  interfaces: InterfacesByPool | undefined;
  /** What the machine has on any link that is asked for. */
  hostAddresses: readonly string[];
  /** Links that it does not have: no container gets an interface on one. */
  missingLinks: readonly string[];
  /** lxc-svc cannot say what is there. */
  listsNothing: boolean;
  /** net-svc says that a pool is in the way of this. */
  poolOverlap: { readonly with: string; readonly server?: string } | undefined;
  /** Starts and mounts wait here while they are held. */
  hold(step: string): () => void;
  exit(container: string, status: ExitStatus): void;
  /** The event alone. */
  tellExit(container: string, pid: number, status: ExitStatus): void;
  /** A new connection of all four. */
  connect(bus: MemoryBus): void;
  /** net-svc says that what pools wait for came or went. */
  awaitedChanged(): void;
  restart(service: ServiceName): void;
  /** Nothing runs, nothing is mounted, nothing is attached; leases stay. */
  cutPower(): void;
}
