// One short function per request. Work on one container is done in the order in which it was asked for; containers do not wait for each other.
import { fail, type Handlers, ok } from '../../shared/ipc/contract.ts';
import { pageFrom } from '../../shared/ipc/page.ts';
import type { LxcEntry } from '../../shared/lxc-config/entry.ts';
import type { CgroupMoves } from './cgroup-moves.ts';
import type { ContainerDevices } from './container-devices.ts';
import { ConfigInvalid, type ContainerMounts, mountedTargets } from './container-mounts.ts';
import type { ContainerRuns, Run } from './container-runs.ts';
import type { ContainerSockets } from './container-sockets.ts';
import { endRun } from './container-stop.ts';
import type { lxcContract } from './contract.ts';
import { diskSupport, unavailable } from './disk-support.ts';
import type { FileTails } from './file-tails.ts';
import type { Hooks } from './hooks.ts';
import { hostReasons } from './host-support.ts';
import type { KernelModules } from './kernel-modules.ts';
import type { KeyQueue } from './key-queue.ts';
import { logFiles } from './log-files.ts';
import type { MountRecords } from './mount-records.ts';
import { mountsBelow, readMountTable } from './mount-table.ts';
import { containerPlaces, lxcPath, type Places } from './places.ts';
import { upMs } from './process-table.ts';
import { type ExitRecord, knownContainers, type MountRecord } from './record-store.ts';
import type { RunPlan, RunRequest } from './run-config.ts';
import { stepOf } from './step-failure.ts';
import { fileLogs } from './tailed-files.ts';

export interface LxcParts {
  readonly places: Places;
  /** The program: a path or a name. */
  readonly cryptsetup: string;
  readonly queue: KeyQueue;
  readonly records: MountRecords;
  readonly mounts: ContainerMounts;
  readonly runs: ContainerRuns;
  readonly tails: FileTails;
  readonly devices: ContainerDevices;
  readonly modules: KernelModules;
  readonly hooks: Hooks;
  readonly sockets: ContainerSockets;
  readonly moves: CgroupMoves;
  readonly autoDevLog: boolean;
  readonly writeConfig: (mounted: MountRecord, run: RunRequest) => RunPlan;
  /** Of a container that runs, for its signals. Never throws. */
  readonly ownEntries: (container: string) => readonly LxcEntry[];
  /** What its configuration had bound for LXC; the container has it mounted by now. Never throws. */
  readonly dropSources: (container: string) => void;
}

interface Ending {
  readonly run: Run;
  readonly exit: Promise<ExitRecord>;
  /** However it went. */
  readonly over: Promise<void>;
}

function noMatter(): void {}

export function lxcHandlers(parts: LxcParts): Handlers<typeof lxcContract> {
  const { places, queue, records, mounts, runs, sockets, moves } = parts;
  /** Ends under way: a start and an unmount wait for them, a second stop may shorten the grace of the first. */
  const stopping = new Map<string, Ending>();

  return {
    mount: ({ container, ...wanted }) =>
      queue.run(container, async () => {
        try {
          const run = runs.running(container);
          if (run !== undefined && !mounts.isMountedAs(container, wanted)) {
            return fail({ code: 'MOUNT_FAILED', step: 'unmount', reason: `it runs still, with pid ${run.pid}` });
          }
          // Most of what is mounted is started next, which then finds them open, and its groups ready.
          if (wanted.config !== undefined) {
            sockets.prepare(container);
            void moves.expect();
          }
          return ok({ rootfs: await mounts.mount(container, wanted) });
        } catch (error) {
          if (wanted.config !== undefined) await sockets.close(container);
          if (error instanceof ConfigInvalid) {
            return fail({ code: 'CONFIG_INVALID', line: error.line, reason: error.reason });
          }
          return fail({ code: 'MOUNT_FAILED', ...stepOf(error) });
        }
      }),

    start: ({ container, devLog = parts.autoDevLog, automodfw = true, remounts = [], ...run }, { signal }) =>
      queue.run(container, async () => {
        const dying = stopping.get(container);
        if (dying !== undefined) await Promise.race([dying.run.ended, givenUp(signal)]);
        if (signal.aborted)
          return fail({ code: 'START_FAILED', step: 'stop', reason: 'the run before it does not end' });
        const present = runs.running(container);
        if (present !== undefined) return ok(toldRun(present));
        const mounted = mounts.mounted(container);
        if (mounted === undefined) return fail({ code: 'NOT_MOUNTED' });
        void moves.expect();
        try {
          const socketFolder = await sockets.open(container);
          const plan = parts.writeConfig(mounted, { container, devLog, automodfw, remounts, ...run, socketFolder });
          parts.tails.prepare(container);
          const started = await runs.start(container, plan.command, plan.network);
          parts.tails.follow(container, started);
          return ok(toldRun(started));
        } catch (error) {
          parts.tails.finish(container);
          parts.devices.finish(container);
          return fail({ code: 'START_FAILED', ...stepOf(error) });
        } finally {
          parts.dropSources(container);
        }
      }),

    stop: async ({ container, graceMs }) => {
      // What was asked for earlier comes first; the grace itself holds up nobody.
      const ending = await queue.run(container, async () => {
        const run = runs.running(container);
        if (run === undefined) return undefined;
        void moves.expect();
        const exit = endRun(run, parts.ownEntries(container), graceMs, () => runs.thaw(container));
        const begun: Ending = { run, exit, over: exit.then(noMatter, noMatter) };
        stopping.set(container, begun);
        return begun;
      });
      if (ending === undefined) {
        return ok({ exit: runs.lastExit(container)?.status });
      }
      try {
        const { status } = await ending.exit;
        return ok({ exit: status });
      } catch (error) {
        return fail({ code: 'STOP_FAILED', ...stepOf(error) });
      } finally {
        if (stopping.get(container) === ending) stopping.delete(container);
      }
    },

    unmount: async ({ container }) => {
      // A stop that was asked for before this has begun then; its grace holds up no second stop.
      await queue.run(container, async () => undefined);
      await stopping.get(container)?.over;
      return queue.run(container, async () => {
        const run = runs.running(container);
        if (run !== undefined) return fail({ code: 'RUNNING', pid: run.pid });
        // Nobody is left who could speak through them. The same container, mounted again, gets the same sockets.
        const closing = sockets.close(container);
        try {
          const detached = await mounts.unmount(container);
          await closing;
          return ok(detached.length > 0 ? { detached: [...detached] } : {});
        } catch (error) {
          await closing.catch(noMatter);
          return fail({ code: 'UNMOUNT_FAILED', ...stepOf(error) });
        }
      });
    },

    checkDisks: ({ disks }) => {
      const host = diskSupport(parts.cryptsetup);
      return ok({ unavailable: disks.flatMap((disk) => unavailable(disk, host)) });
    },

    listContainers({ after = '' }) {
      const following = knownContainers(lxcPath(places)).filter((container) => container > after);
      const targets = mountedTargets();
      const known = following.sort().flatMap((container) => {
        const its = containerPlaces(places, container);
        const record = records.read(container);
        const revision = record?.revision;
        if (revision === undefined) return [];
        const isMounted = mounts.mounted(container, targets) !== undefined;
        const run = runs.running(container);
        const exit = run === undefined ? runs.lastExit(container) : undefined;
        return {
          container,
          revision,
          mounted: isMounted,
          running: run === undefined ? undefined : toldRun(run),
          exit,
          logs: isMounted ? [...logFiles(its), ...fileLogs(its, record?.logFiles ?? [])] : [],
        };
      });
      const { rows, next } = pageFrom(known, 0, ({ container }) => container);
      return ok({ containers: rows, next });
    },

    async loadModules({ modules }) {
      const failed = await parts.modules.load(modules);
      return failed === undefined ? ok({}) : fail({ code: 'MODPROBE_FAILED', ...failed });
    },

    async unloadModules({ modules }) {
      const failed = await parts.modules.unload(modules);
      return failed === undefined ? ok({}) : fail({ code: 'MODPROBE_FAILED', ...failed });
    },

    listModules: () => ok({ modules: parts.modules.loaded(), board: parts.modules.board() }),

    listMounts: ({ container }) => {
      const { folder } = containerPlaces(places, container);
      const mounts = mountsBelow(readMountTable(), folder).map(({ target, type, source }) => ({
        target,
        type,
        source,
      }));
      return ok({ mounts: pageFrom(mounts, 0, ({ target }) => target).rows });
    },

    async runHooks({ event, ...situation }, { signal }) {
      const outcome = await parts.hooks.run(event, situation, signal);
      if (outcome.ok) return ok({ ran: outcome.ran.length });
      const { hook, reason, words } = outcome.failure;
      return fail({ code: 'HOOK_FAILED', hook, reason, words: [...words] });
    },

    health: () => ok({ reasons: [...hostReasons(), ...parts.hooks.health()] }),
  };
}

/** Of one whose init had ended before anybody looked the end is about to be told. */
function toldRun({ pid, startedMs, startTicks }: Run) {
  return { pid, startedMs, upMs: startTicks === undefined ? 0 : upMs(startTicks) };
}

/** Resolves when the caller does not wait any longer. */
function givenUp(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
