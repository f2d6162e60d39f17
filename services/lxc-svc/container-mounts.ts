// mount and unmount of a container: its configuration is checked, its root mounted, its log files made, and all of it taken away.

import { existsSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { FolderWatch } from '../../shared/kernel/folder-watch.ts';
import { createSharedLoopDevices } from '../../shared/kernel/loop-device.ts';
import type { Logger } from '../../shared/log/logger.ts';
import type { LxcEntry } from '../../shared/lxc-config/entry.ts';
import { initProblems } from '../../shared/lxc-config/init-command.ts';
import { unknownKeys } from '../../shared/lxc-config/keys.ts';
import { mountProblems } from '../../shared/lxc-config/mount-budget.ts';
import { ownedConflicts } from '../../shared/lxc-config/owned-keys.ts';
import { rootLayers } from '../../shared/lxc-config/root-path.ts';
import { configFiles, prepareFiles } from './config-files.ts';
import { removeDeviceFolder } from './container-devices.ts';
import { mountTargets, mountVolumes, OVERLAY_VOLUME } from './container-volumes.ts';
import type { Disks } from './disks.ts';
import { mountExports, removeMountPoints } from './exports.ts';
import { createGoneCollector } from './gone-collector.ts';
import type { DiskRoot } from './gone-revisions.ts';
import { type LogFile, logFiles, openLogFiles, watchLogFiles } from './log-files.ts';
import type { MountRecords } from './mount-records.ts';
import { dropSources } from './mount-sources.ts';
import { isOtherFileSystem, isTarget, type Mount, mountsBelow, readMountInfo, readMountTable } from './mount-table.ts';
import { readOwnConfig } from './own-config.ts';
import {
  basePlace,
  type ContainerPlaces,
  containerPlaces,
  lxcPath,
  type Places,
  storageRoots,
  trailPath,
} from './places.ts';
import { knownContainers, type MountRecord, removeRecord } from './record-store.ts';
import { mountOverlay, unmountBelow } from './root-mounts.ts';
import { failingStep, StepFailure } from './step-failure.ts';
import { type FileLog, fileLogs } from './tailed-files.ts';
import { boundFolders } from './volume-mounts.ts';
import type { WarmImages } from './warm-images.ts';

/** The container's own configuration cannot be used. */
export class ConfigInvalid extends Error {
  readonly line: number;
  readonly reason: string;

  constructor(line: number, reason: string) {
    super(`line ${line}: ${reason}`);
    this.line = line;
    this.reason = reason;
  }
}

export interface MountEvents {
  mounted(container: string, revision: string, logs: (LogFile | FileLog)[]): void;
  unmounted(container: string): void;
}

export interface ContainerMounts {
  /** Answers the root's path. Throws StepFailure or ConfigInvalid; then nothing is mounted. Not to be called while it runs. */
  mount(container: string, wanted: MountRecord): Promise<string>;
  /** Answers what was busy and is detached. Throws StepFailure when something is left. Not to be called while it runs. */
  unmount(container: string): Promise<readonly string[]>;
  /** Of what is mounted; undefined: nothing is, or not all of it. */
  mounted(container: string, targets?: ReadonlySet<string>): MountRecord | undefined;
  /** Exactly this is mounted. */
  isMountedAs(container: string, wanted: MountRecord): boolean;
  /** Goes on with what an earlier service had mounted. */
  resume(container: string, targets?: ReadonlySet<string>): void;
}

export interface MountContext {
  readonly places: Places;
  readonly records: MountRecords;
  readonly disks: Disks;
  readonly images: WarmImages;
  readonly readerGid: number | undefined;
  readonly log: Logger;
  readonly events: MountEvents;
}

interface Cleared {
  /** Was busy and ends with its last user. */
  readonly detached: readonly string[];
  /** What did not work. */
  readonly failures: readonly string[];
  /** Nothing of it is mounted any more; a disk of its may be open all the same. */
  readonly isUnmounted: boolean;
}

/** Also after a way through JSON, where the order of keys is theirs who wrote it. Log files are read, not mounted, and devices are a start's. */
function isSame(a: MountRecord, b: MountRecord): boolean {
  return isDeepStrictEqual(mountedOf(a), mountedOf(b));
}

function mountedOf({ logFiles: _, deviceRules: __, ...mounted }: MountRecord): object {
  return mounted;
}

/** Turns of the event loop, one for each who asks. */
function createTurns(): () => Promise<void> {
  let last: Promise<void> = Promise.resolve();
  return () => {
    last = last.then(() => new Promise((resolve) => setImmediate(resolve)));
    return last;
  };
}

export function createContainerMounts(context: MountContext): ContainerMounts {
  const { places, records, disks, images, readerGid, log, events } = context;
  const watchers = new Map<string, FolderWatch>();
  // Containers that are the same image have one device, and one cache of it.
  const attach = createSharedLoopDevices();
  // An unmount takes the kernel milliseconds, and hundreds of containers can go at once: heartbeats and answers must get through.
  const turn = createTurns();
  const follow = (container: string, its: ContainerPlaces): void => {
    watchers.get(container)?.close();
    watchers.set(container, watchLogFiles(its, readerGid));
  };
  const unfollow = (container: string): void => {
    watchers.get(container)?.close();
    watchers.delete(container);
  };
  const isAnythingMounted = (its: ContainerPlaces, table: readonly Mount[]): boolean =>
    [its.folder, its.exports].some((folder) => mountsBelow(table, folder).length > 0);
  /** Of containers of which anything is mounted. */
  const recordsInUse = (but?: string): readonly MountRecord[] => {
    const table = readMountTable();
    return knownContainers(lxcPath(places)).flatMap((container) => {
      const its = containerPlaces(places, container);
      const isUsed = container !== but && mountsBelow(table, its.folder).length > 0;
      return isUsed ? (records.read(container) ?? []) : [];
    });
  };
  const othersDisks = (container: string): ReadonlySet<string> =>
    new Set(recordsInUse(container).flatMap((record) => record.disks.map(({ name }) => name)));
  const collect = createGoneCollector(
    { places, used: () => new Set(recordsInUse().map(({ revision }) => revision)) },
    log,
  );
  const clear = async (
    container: string,
    its: ContainerPlaces,
    before: readonly Mount[] = readMountTable(),
  ): Promise<Cleared> => {
    const table = failingStep('unmount', () => dropSources(its.sources)) ? readMountTable() : before;
    const used = records.read(container)?.disks ?? [];
    const { detached, failures } = await unmountBelow([its.exports, its.folder], table, turn);
    for (const target of detached)
      log.warn(`${container}: ${target} was busy and is detached; it ends with its last user`);
    const after = readMountTable();
    for (const folder of [its.exports, its.rootfs, its.volumes, its.bases, its.resolv])
      removeMountPoints(folder, after);
    const isUnmounted = !isAnythingMounted(its, after);
    if (isUnmounted) {
      rmSync(its.files, { recursive: true, force: true });
      removeDeviceFolder(its.devices);
    }
    const open = await disks.release(container, used, () => othersDisks(container));
    return { detached, failures: [...failures, ...open], isUnmounted };
  };
  /** A disk that cannot be closed is a failure, and yet there is nothing to follow any more. Throws StepFailure. */
  const takeAway = async (
    container: string,
    its: ContainerPlaces,
    table: readonly Mount[],
  ): Promise<readonly string[]> => {
    const wasMounted = watchers.has(container) || isAnythingMounted(its, table);
    const { detached, failures, isUnmounted } = await clear(container, its, table);
    // A disk of its may be open though nothing is mounted: for others, or since a service was killed.
    if (isUnmounted && wasMounted) {
      unfollow(container);
      rmSync(its.config, { force: true });
      events.unmounted(container);
      log.info(`unmounted ${container}`);
    }
    if (failures.length > 0) throw new StepFailure('unmount', failures.join('; '));
    return detached;
  };
  /** Also where a service was killed between opening a disk and mounting something of it. */
  const hasOpenDisks = (container: string): boolean =>
    records.read(container)?.disks.some((disk) => disks.isOpen(disk)) === true;
  /** The table has several lines of each container, so it is read where nothing else tells, and once for all that is asked at a time. */
  const mounted = (container: string, given?: ReadonlySet<string>): MountRecord | undefined => {
    const its = containerPlaces(places, container);
    const record = records.read(container);
    if (record === undefined) return undefined;
    let info: string | undefined;
    const isInTable = (target: string): boolean => {
      info ??= readMountInfo();
      return isTarget(info, target);
    };
    const isMounted = (target: string): boolean =>
      given?.has(target) ?? (isOtherFileSystem(target) || isInTable(target));
    return mountTargets(its, record).every(isMounted) ? record : undefined;
  };

  const isMountedAs = (container: string, wanted: MountRecord, targets?: ReadonlySet<string>): boolean => {
    const present = mounted(container, targets);
    return present !== undefined && isSame(present, wanted);
  };

  /** A build before this one has mounted it, and knew of none. */
  const keepRules = (container: string, { deviceRules }: MountRecord): void => {
    const present = records.read(container);
    if (present === undefined || isDeepStrictEqual(present.deviceRules, deviceRules)) return;
    failingStep('record', () => records.write(container, { ...present, deviceRules }));
  };

  const mountAll = (
    container: string,
    its: ContainerPlaces,
    wanted: MountRecord,
    entries: readonly LxcEntry[],
  ): void => {
    const diskRoot = (name: string | undefined): DiskRoot =>
      disks.rootOf(wanted.disks.find((disk) => disk.name === name));
    const tell = {
      info: (text: string) => log.info(`${container}: ${text}`),
      warn: (text: string) => log.warn(`${container}: ${text}`),
    };
    mountVolumes({ places, its, container, diskRoot, attach, tell }, wanted);
    const lowers = rootLayers(entries, container, wanted.rootVolume).map((layer) =>
      layer.container === container ? join(its.volumes, layer.file) : basePlace(its, layer),
    );
    const files = failingStep('configuration files', () => {
      const found = configFiles(places, wanted.revision, container);
      if (found.length > 0) prepareFiles(found, its.files, lowers);
      return found;
    });
    const layers = files.length > 0 ? [its.files, ...lowers] : lowers;
    failingStep('overlay', () => mountOverlay(its.rootfs, layers, join(its.volumes, OVERLAY_VOLUME)));
    const bound = boundFolders(entries, container, storageRoots(places));
    const missing = failingStep('exports', () => mountExports(its, wanted.exports, bound));
    for (const why of missing) log.warn(`${container}: ${why}`);
  };

  return {
    mounted,
    isMountedAs,
    async mount(container, wanted) {
      const its = containerPlaces(places, container);
      // Without the folders for it nothing is mounted; the table has several lines of every container.
      const table = [its.rootfs, its.volumes, its.bases, its.exports].some((folder) => existsSync(folder))
        ? readMountTable()
        : [];
      if (isMountedAs(container, wanted, mountedTargets(table))) {
        keepRules(container, wanted);
        return its.rootfs;
      }
      const { config, revision } = wanted;
      const path = config === undefined ? undefined : trailPath(places, revision, container, config);
      const entries = path === undefined ? [] : readEntries(path, container, wanted);
      // Another revision's, or what an interrupted mount left.
      if (isAnythingMounted(its, table) || hasOpenDisks(container)) await takeAway(container, its, table);
      try {
        failingStep('folder', () => openLogFiles(its, readerGid));
        failingStep('record', () => {
          // Mounted and ended means that it ended by itself; how it ended before it was stopped and unmounted says nothing now.
          removeRecord(its.exitRecord);
          records.write(container, wanted);
        });
        await disks.open(container, wanted.disks);
        mountAll(container, its, wanted, entries);
        failingStep('logs', () => follow(container, its));
      } catch (error) {
        const { failures } = await clear(container, its).catch((fault: unknown) => ({ failures: [String(fault)] }));
        if (failures.length > 0) log.error(`${container}: undoing a mount: ${failures.join('; ')}`);
        throw error;
      }
      events.mounted(container, revision, [...logFiles(its), ...fileLogs(its, wanted.logFiles)]);
      log.info(`mounted ${container} of revision ${revision}`);
      collect([undefined, ...wanted.disks].map((disk) => disks.rootOf(disk)));
      return its.rootfs;
    },
    async unmount(container) {
      const its = containerPlaces(places, container);
      const table = readMountTable();
      if (isAnythingMounted(its, table)) images.keep(mountsBelow(table, its.folder));
      else if (!hasOpenDisks(container)) return [];
      return takeAway(container, its, table);
    },
    resume(container, targets) {
      if (mounted(container, targets) === undefined) return;
      const its = containerPlaces(places, container);
      openLogFiles(its, readerGid);
      follow(container, its);
    },
  };
}

/** Where something is mounted now: for whoever asks about many containers at once, each of which has several lines in that table. */
export function mountedTargets(table: readonly Mount[] = readMountTable()): ReadonlySet<string> {
  return new Set(table.map(({ target }) => target));
}

/** Throws ConfigInvalid. */
function readEntries(path: string, container: string, wanted: MountRecord): readonly LxcEntry[] {
  const { entries, problems } = failingStep('configuration', () => readOwnConfig(path));
  // Networks and names are known when it starts.
  const { rootVolume, squashfs } = wanted;
  const volumes = [rootVolume, ...squashfs];
  const bases = filesByContainer(wanted.bases);
  const owner = { container, rootVolume, volumes, bases, network: undefined, hostname: undefined };
  const [problem] = [
    ...problems,
    ...unknownKeys(entries),
    ...initProblems(entries),
    ...mountProblems(entries),
    ...ownedConflicts(entries, owner),
  ];
  if (problem === undefined) return entries;
  // An included file is of the same folder.
  throw new ConfigInvalid(problem.line, `${problem.source.replace(`${dirname(path)}/`, '')}: ${problem.reason}`);
}

function filesByContainer(bases: MountRecord['bases']): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  for (const { container, file } of bases) found.set(container, [...(found.get(container) ?? []), file]);
  return found;
}
