// mount and unmount of a container: its configuration is checked, its root mounted, its log files made, and all of it taken away.

import type { FSWatcher } from 'node:fs';
import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Logger } from '../../shared/log/logger.ts';
import { type LogFile, logFiles, openLogFiles, watchLogFiles } from './log-files.ts';
import { mountsBelow, readMountTable } from './mount-table.ts';
import { readOwnConfig } from './own-config.ts';
import { type ContainerPlaces, containerPlaces, type Places, trailPath, volumePath } from './places.ts';
import { type MountRecord, readMountRecord, removeRecord, writeMountRecord } from './record-store.ts';
import { failingStep, isRootMounted, mountRoot, StepFailure, unmountRoot } from './root-mounts.ts';

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
  mounted(container: string, revision: string, logs: LogFile[]): void;
  unmounted(container: string): void;
}

export interface ContainerMounts {
  /** Answers the root's path. Throws StepFailure or ConfigInvalid; then nothing is mounted. Not to be called while it runs. */
  mount(container: string, wanted: MountRecord): Promise<string>;
  /** Throws StepFailure when something is left. Not to be called while it runs. */
  unmount(container: string): Promise<void>;
  /** Of what is mounted; undefined: nothing is, or not all of it. */
  mounted(container: string): MountRecord | undefined;
  /** Exactly this is mounted. */
  isMountedAs(container: string, wanted: MountRecord): boolean;
  /** Goes on with what an earlier service had mounted. */
  resume(container: string): void;
}

export interface MountContext {
  readonly places: Places;
  readonly readerGid: number | undefined;
  readonly log: Logger;
  readonly events: MountEvents;
}

function isSame(a: MountRecord, b: MountRecord): boolean {
  return (
    a.revision === b.revision &&
    a.rootVolume === b.rootVolume &&
    a.config === b.config &&
    a.persistence === b.persistence
  );
}

export function createContainerMounts({ places, readerGid, log, events }: MountContext): ContainerMounts {
  const watchers = new Map<string, FSWatcher>();
  const follow = (container: string, its: ContainerPlaces): void => {
    watchers.get(container)?.close();
    watchers.set(container, watchLogFiles(its, readerGid));
  };
  const unfollow = (container: string): void => {
    watchers.get(container)?.close();
    watchers.delete(container);
  };
  const clear = async (container: string, its: ContainerPlaces): Promise<void> => {
    const { detached, failures } = await unmountRoot(its);
    for (const target of detached)
      log.warn(`${container}: ${target} was busy and is detached; it ends with its last user`);
    if (failures.length > 0) throw new StepFailure('unmount', failures.join('; '));
  };
  const mounted = (container: string): MountRecord | undefined => {
    const its = containerPlaces(places, container);
    return isRootMounted(its) ? readMountRecord(its.mountRecord) : undefined;
  };

  const isMountedAs = (container: string, wanted: MountRecord): boolean => {
    const present = mounted(container);
    return present !== undefined && isSame(present, wanted);
  };

  return {
    mounted,
    isMountedAs,
    async mount(container, wanted) {
      const its = containerPlaces(places, container);
      if (isMountedAs(container, wanted)) return its.rootfs;
      const { config, revision, rootVolume, persistence } = wanted;
      checkConfig(trailPath(places, revision, container, config));
      // Another revision's, or what an interrupted mount left.
      if (mountsBelow(readMountTable(), its.folder).length > 0) await clear(container, its);
      try {
        failingStep('folder', () => openLogFiles(its, readerGid));
        failingStep('record', () => {
          // Mounted and ended means that it ended by itself; how it ended before it was stopped and unmounted says nothing now.
          removeRecord(its.exitRecord);
          writeMountRecord(its.mountRecord, wanted);
        });
        const layer = volumePath(places, { container, revision }, 'lxc-overlay', persistence);
        mountRoot(its, trailPath(places, revision, container, rootVolume), layer);
        failingStep('logs', () => follow(container, its));
      } catch (error) {
        await clear(container, its).catch((left: unknown) =>
          log.error(`${container}: undoing a mount: ${String(left)}`),
        );
        throw error;
      }
      events.mounted(container, revision, logFiles(its));
      log.info(`mounted ${container} of revision ${revision}`);
      return its.rootfs;
    },
    async unmount(container) {
      const its = containerPlaces(places, container);
      if (mountsBelow(readMountTable(), its.folder).length === 0) return;
      await clear(container, its);
      unfollow(container);
      rmSync(its.config, { force: true });
      events.unmounted(container);
      log.info(`unmounted ${container}`);
    },
    resume(container) {
      if (mounted(container) === undefined) return;
      const its = containerPlaces(places, container);
      openLogFiles(its, readerGid);
      follow(container, its);
    },
  };
}

function checkConfig(path: string): void {
  const [problem] = failingStep('configuration', () => readOwnConfig(path)).problems;
  if (problem === undefined) return;
  // An included file is of the same folder.
  throw new ConfigInvalid(problem.line, `${problem.source.replace(`${dirname(path)}/`, '')}: ${problem.reason}`);
}
