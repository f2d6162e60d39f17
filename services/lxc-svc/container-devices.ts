// Device nodes of containers whose revision has rules for them (mdev.json): a tmpfs of each, filled before LXC lays it over the container's
// /dev, and kept as the kernel's devices come and go. Without such a container nothing is read, heard or mounted.
import { existsSync, mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { type DeviceRule, nodesOf, readDeviceRule, type WantedNode } from '../../shared/devices/device-rule.ts';
import { KernelError } from '../../shared/kernel/libc.ts';
import { mount, unmount } from '../../shared/kernel/mount.ts';
import { reasonOf } from '../../shared/kernel/system-error.ts';
import type { Logger } from '../../shared/log/logger.ts';
import { isThere, type MadeNode, type MakeNode, makeFirstNode, makeNode, removeNode } from './device-nodes.ts';
import { type Device, type DeviceKey, deviceNumberOf, readDevice, readDevices } from './device-table.ts';
import { isOtherFileSystem } from './mount-table.ts';
import { containerPlaces, type Places } from './places.ts';
import { type NodesRecord, readNodesRecord, removeRecord, writeNodesRecord } from './record-store.ts';
import { type Uevents, watchUevents } from './uevents.ts';

export interface ContainerDevices {
  /** Before it starts. `bytes`: how large the folder may get. Answers the folder that is to be its /dev. Throws what the system says. */
  prepare(container: string, rules: readonly string[], bytes: number): string;
  /** It runs since before this service. */
  resume(container: string): void;
  /** It has ended, or did not start. Also when it has no rules. */
  finish(container: string): void;
  close(): void;
}

export interface DevicesContext {
  readonly places: Places;
  readonly log: Logger;
  /** Of the revision that is mounted; undefined: it has none. */
  readonly rulesOf: (container: string) => readonly string[] | undefined;
}

interface Followed {
  readonly rules: readonly DeviceRule[];
  readonly folder: string;
  made: NodesRecord;
}

interface How {
  readonly make: MakeNode;
  /** The kernel has just told of them: what the container has removed meanwhile is made again. */
  readonly isTold: boolean;
}

/** Closed to others: a rule may let everybody open a disk, and means everybody in the container. */
const CLOSED = 0o700;

/** `watch`: how it hears of devices that come and go. */
export function createContainerDevices(
  { places, log, rulesOf }: DevicesContext,
  watch: typeof watchUevents = watchUevents,
): ContainerDevices {
  const followed = new Map<string, Followed>();
  /** Undefined: nobody would tell of its changes. */
  let devices: Map<DeviceKey, Device> | undefined;
  let uevents: Uevents | undefined;

  /** First the ears, then the eyes: what comes after the look is heard. Where there are no ears each look is a new one. */
  const present = (): ReadonlyMap<DeviceKey, Device> => {
    if (devices !== undefined) return devices;
    uevents ??= listen();
    const table = readDevices();
    if (uevents === undefined) return table;
    devices = table;
    // Some may have come and gone since uevents were lost.
    bringAll(table, table.keys(), { make: makeNode, isTold: false });
    return table;
  };
  const listen = (): Uevents | undefined => {
    try {
      const its = watch(onDevices, (error) => {
        if (uevents !== its) return;
        uevents = undefined;
        devices = undefined;
        log.error(`devices are not seen until the next start of a container with rules for them: ${String(error)}`);
      });
      return its;
    } catch (error) {
      log.error(`devices that come later are not seen: ${String(error)}`);
      return undefined;
    }
  };
  const onDevices = (keys: ReadonlySet<DeviceKey> | 'all'): void => {
    if (devices === undefined) return;
    if (keys === 'all') devices = readDevices();
    else for (const key of keys) lookAt(key, devices);
    bringAll(devices, keys === 'all' ? devices.keys() : keys, { make: makeNode, isTold: keys !== 'all' });
  };
  const bringAll = (table: ReadonlyMap<DeviceKey, Device>, keys: Iterable<DeviceKey>, how: How): void => {
    const all = [...keys];
    for (const [container, its] of followed) bring(container, its, table, all, how);
  };
  /** Brings the nodes of these devices, and of those of its that are gone, to where they should be. */
  const bring = (
    container: string,
    its: Followed,
    table: ReadonlyMap<DeviceKey, Device>,
    keys: Iterable<DeviceKey>,
    how: How,
  ): void => {
    const gone = Object.keys(its.made).filter((key) => !table.has(key));
    const before = its.made;
    const made: Record<DeviceKey, MadeNode[]> = { ...before };
    const complaints: string[] = [];
    for (const key of new Set([...gone, ...keys])) {
      const device = table.get(key);
      const wanted = device === undefined ? [] : nodesOf(its.rules, device);
      const nodes = bringDevice(its.folder, key, before[key] ?? [], wanted, { ...how, complaints });
      if (nodes.length > 0) made[key] = nodes;
      else delete made[key];
    }
    its.made = made;
    if (!isDeepStrictEqual(made, before)) attempt(complaints, () => writeNodesRecord(recordOf(container), made));
    if (complaints.length === 0) return;
    const more = complaints.length > 1 ? `, and ${complaints.length - 1} more` : '';
    log.warn(`${container}: its /dev is not as the devices are: ${complaints[0]}${more}`);
  };
  const recordOf = (container: string): string => join(containerPlaces(places, container).devices, 'made.json');
  const folderOf = (container: string): string => join(containerPlaces(places, container).devices, 'dev');
  const follow = (container: string, rules: readonly string[], made: NodesRecord, how: How): void => {
    const read = rules.flatMap((line) => readDeviceRule(line).rule ?? []);
    const its: Followed = { rules: read, folder: folderOf(container), made };
    const table = present();
    followed.set(container, its);
    bring(container, its, table, table.keys(), how);
  };
  const finish = (container: string): void => {
    if (followed.delete(container) && followed.size === 0) close();
  };
  const close = (): void => {
    uevents?.close();
    uevents = undefined;
    devices = undefined;
  };

  return {
    prepare(container, rules, bytes) {
      finish(container);
      const folder = folderOf(container);
      mkdirSync(containerPlaces(places, container).devices, { recursive: true, mode: CLOSED });
      mkdirSync(folder, { recursive: true });
      unmountIfMounted(folder);
      removeRecord(recordOf(container));
      // As LXC mounts its own (mount_autodev() in src/lxc/conf.c).
      mount('berth-dev', folder, 'tmpfs', 0, `size=${bytes},mode=755`);
      follow(container, rules, {}, { make: makeFirstNode, isTold: false });
      return folder;
    },
    resume(container) {
      const rules = rulesOf(container);
      if (rules === undefined || !isOtherFileSystem(folderOf(container))) return;
      follow(container, rules, readNodesRecord(recordOf(container)), { make: makeNode, isTold: false });
    },
    finish,
    close,
  };
}

function lookAt(key: DeviceKey, devices: Map<DeviceKey, Device>): void {
  const device = readDevice(key);
  if (device === undefined) devices.delete(key);
  else devices.set(key, device);
}

/** Answers what there is of it now; adds what did not work to `complaints`. */
function bringDevice(
  folder: string,
  key: DeviceKey,
  before: readonly MadeNode[],
  wanted: readonly WantedNode[],
  { make, isTold, complaints }: How & { readonly complaints: string[] },
): MadeNode[] {
  const number = deviceNumberOf(key);
  if (number === undefined) return [];
  const isWanted = ({ path }: MadeNode): boolean => wanted.some((node) => node.path === path || node.link === path);
  for (const node of before) if (!isWanted(node)) attempt(complaints, () => removeNode(folder, number, node));
  const isKept = (node: MadeNode): boolean =>
    !isTold || attempt(complaints, () => isThere(folder, number, node)) === true;
  const kept = before.filter((node) => isWanted(node) && isKept(node));
  const missing = wanted.filter(({ path }) => !kept.some((node) => node.path === path));
  return [...kept, ...missing.flatMap((node) => attempt(complaints, () => make(folder, number, node)) ?? [])];
}

function attempt<T>(complaints: string[], act: () => T): T | undefined {
  try {
    return act();
  } catch (error) {
    complaints.push(reasonOf(error));
    return undefined;
  }
}

function unmountIfMounted(folder: string): void {
  try {
    unmount(folder, true);
  } catch (error) {
    if (!(error instanceof KernelError && error.errno === 'EINVAL')) throw error;
  }
}

/** Nothing is mounted in it any more. */
export function removeDeviceFolder(devices: string): void {
  if (!existsSync(devices)) return;
  removeRecord(join(devices, 'made.json'));
  for (const each of [join(devices, 'dev'), devices]) if (existsSync(each)) rmdirSync(each);
}
