// Runs of containers: started detached, watched to their end, recorded, adopted from an earlier service. What a run is, and when it ends,
// is read from LXC's monitor and the kernel; the only thing kept in memory is whom we are watching.
import { statSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { runLight } from '../../shared/exec/run-light.ts';
import { withinNamespace } from '../../shared/kernel/network-namespace.ts';
import { reasonOf } from '../../shared/kernel/system-error.ts';
import { textIfThere } from '../../shared/kernel/text-if-there.ts';
import type { Logger } from '../../shared/log/logger.ts';
import { keyTooNew } from '../../shared/lxc-config/keys.ts';
import { cgroupRemover, cgroupThawer, processesIn } from './cgroup-tree.ts';
import { firstError, loggedExit, loggedStart } from './exit-log.ts';
import { rotateLxcLog } from './log-files.ts';
import { initOf, monitorEnd, monitorOf, startClients } from './monitor.ts';
import { containerPlaces, lxcPath, type Places } from './places.ts';
import { isAlive, kill, startedMs } from './process-table.ts';
import {
  type ExitRecord,
  type RunRecord,
  readExitRecord,
  readRunRecord,
  removeRecord,
  writeExitRecord,
  writeRunRecord,
} from './record-store.ts';
import { failingStep, StepFailure } from './step-failure.ts';

export interface Run {
  readonly pid: number;
  /** Undefined: its init had ended before anybody looked. */
  readonly startTicks: number | undefined;
  readonly startedMs: number;
  /** Its end; never rejects. */
  readonly ended: Promise<ExitRecord>;
}

export interface ContainerRuns {
  /** The run under way, as far as it is watched. */
  running(container: string): Run | undefined;
  /**
   * Its configuration is written; `command` is its init with arguments, LXC's own without one; `network` the namespace that LXC's monitor is
   * to be in, ours without one. Not to be called while it runs. Throws StepFailure; then nothing of it is left.
   */
  start(container: string, command: readonly string[], network?: number): Promise<Run>;
  /** Goes on with a run of an earlier service: watches it, or records how it ended meanwhile. */
  adopt(container: string): Promise<void>;
  lastExit(container: string): ExitRecord | undefined;
  /** Who was killed in it and is frozen ends. Never throws. */
  thaw(container: string): void;
}

export interface RunContext {
  readonly places: Places;
  readonly readerGid: number | undefined;
  readonly log: Logger;
  readonly exited: (container: string, exit: ExitRecord) => void;
}

/** lxc-start answers when init runs; a device takes a second or two at worst. */
const START_TIMEOUT_MS = 20_000;
const LOOK_MS = 20;
/** It has a few system calls left to make. */
const MONITOR_LOOK_MS = 2;
/** For processes of a killed container to vanish and their control groups to empty; milliseconds. */
const VANISH_MS = 2_000;
/** A monitor that waits for a disk which does not answer outlives SIGKILL; milliseconds. */
const KILLED_MS = 5_000;

export function createContainerRuns({ places, readerGid, log, exited }: RunContext): ContainerRuns {
  const runs = new Map<string, Run>();
  const removeCgroups = cgroupRemover();
  const thawCgroups = cgroupThawer();
  const path = lxcPath(places);

  /** What only a killed monitor leaves: processes that outlived it, control groups. Nobody else has processes in these groups. */
  const sweep = async (container: string, pid: number | undefined, startTicks: number | undefined): Promise<void> => {
    const { cgroup } = containerPlaces(places, container);
    const end = performance.now() + VANISH_MS;
    for (;;) {
      const inits = pid !== undefined && startTicks !== undefined && isAlive(pid, startTicks) ? [pid] : [];
      const left = removeCgroups(cgroup);
      const survivors = [...inits, ...processesIn(left)];
      for (const survivor of survivors) kill(survivor);
      if (survivors.length > 0) thawCgroups(cgroup);
      if (left.length === 0 && survivors.length === 0) return;
      if (performance.now() > end) {
        log.warn(`${container}: control groups are still in use: ${left.join(' ')}`);
        return;
      }
      await delay(LOOK_MS);
    }
  };

  /** Its socket closes before it has moved itself into a group of its own and out of the others. */
  const monitorGone = async (monitor: number | undefined, withinMs: number): Promise<void> => {
    const end = performance.now() + withinMs;
    while (monitor !== undefined && isAlive(monitor) && performance.now() < end) await delay(MONITOR_LOOK_MS);
  };

  /** Where there is no room, say, the end is told all the same: a stop waits for it, and makes room. */
  const attempt = async (container: string, step: () => void | Promise<void>): Promise<void> => {
    try {
      await step();
    } catch (error) {
      log.error(`${container}: at its end: ${String(error)}`);
    }
  };

  const finish = async (container: string, pid: number, record: RunRecord): Promise<ExitRecord> => {
    const its = containerPlaces(places, container);
    const told = loggedExit(textIfThere(its.lxcLog), pid, writtenMs(its.lxcLog));
    const before = readExitRecord(its.exitRecord);
    // Recorded already by a service that was killed before it could say so.
    const known = before?.pid === pid && before.atMs >= record.startedMs ? before : undefined;
    const exit: ExitRecord = told ?? known ?? { pid, status: { kind: 'unknown' }, atMs: Date.now() };
    await attempt(container, () => writeExitRecord(its.exitRecord, exit));
    await monitorGone(record.monitorPid, VANISH_MS);
    await attempt(container, () => removeRecord(its.monitorPid));
    await attempt(container, () => sweep(container, pid, record.startTicks));
    await attempt(container, () => removeRecord(its.runRecord));
    runs.delete(container);
    exited(container, exit);
    log.info(`${container} with pid ${pid} ended: ${describe(exit)}`);
    return exit;
  };

  const watch = (container: string, pid: number, monitor: number | undefined, record: RunRecord): Run => {
    const over = monitor === undefined ? Promise.resolve() : monitorEnd(monitor, pid, path, container);
    // It may be over before anybody looked: its start is answered first all the same.
    const ended = over.then(nextTurn).then(() => finish(container, pid, record));
    const run = { pid, startTicks: record.startTicks, startedMs: record.startedMs, ended };
    runs.set(container, run);
    return run;
  };

  /** After lxc-start: the init's pid from its monitor, or from the log when it has ended already. Undefined: it never ran. */
  const found = async (container: string, calledMs: number): Promise<Run | undefined> => {
    const its = containerPlaces(places, container);
    const monitor = monitorOf(its.monitorPid, path, container);
    const init = monitor === undefined ? undefined : await initOf(monitor, path, container);
    const pid = init?.pid ?? loggedStart(textIfThere(its.lxcLog));
    if (pid === undefined) return undefined;
    const record: RunRecord = {
      pid,
      ...(init === undefined ? {} : { startTicks: init.startTicks }),
      ...(monitor === undefined ? {} : { monitorPid: monitor }),
      startedMs: init === undefined ? calledMs : startedMs(init.startTicks, Date.now()),
    };
    writeRunRecord(its.runRecord, record);
    return watch(container, pid, monitor, record);
  };

  const giveUp = async (container: string): Promise<void> => {
    const its = containerPlaces(places, container);
    const monitor = monitorOf(its.monitorPid, path, container);
    if (monitor !== undefined) kill(monitor);
    await monitorGone(monitor, KILLED_MS);
    // What is written of it stays, for the next service to go on with.
    if (monitor !== undefined && isAlive(monitor))
      throw new StepFailure('kill', `LXC's monitor, pid ${monitor}, is still there ${KILLED_MS} ms after SIGKILL`);
    removeRecord(its.monitorPid);
    await sweep(container, undefined, undefined);
    removeRecord(its.runRecord);
  };

  /** LXC's tools may not answer, or there is no room for the record: who is told so takes it for stopped, and its root is unmounted. */
  const foundOrGivenUp = async (container: string, calledMs: number): Promise<Run | undefined> => {
    try {
      return await found(container, calledMs);
    } catch (error) {
      await giveUp(container);
      throw new StepFailure('lxc-start', reasonOf(error));
    }
  };

  return {
    running: (container) => runs.get(container),
    lastExit: (container) => readExitRecord(containerPlaces(places, container).exitRecord),
    thaw: (container) => thawCgroups(containerPlaces(places, container).cgroup),
    async start(container, command, network) {
      const its = containerPlaces(places, container);
      const calledMs = Date.now();
      failingStep('folder', () => {
        rotateLxcLog(its, readerGid);
        removeRecord(its.monitorPid);
        // Before anything runs: a run that ends at once writes its own.
        removeRecord(its.exitRecord);
        removeCgroups(its.cgroup);
        writeRunRecord(its.runRecord, { startedMs: calledMs });
      });
      const args = ['-d', '-n', container, '-P', path, '-f', its.config, '-p', its.monitorPid, '--', ...command];
      const begin = () => runLight('lxc-start', args, START_TIMEOUT_MS);
      const begun = network === undefined ? begin() : withinNamespace(network, begin);
      const outcome = await begun.catch(String);
      const isUp = typeof outcome !== 'string' && outcome.exitCode === 0;
      const run = isUp ? await foundOrGivenUp(container, calledMs) : undefined;
      if (run !== undefined) {
        log.info(`started ${container} with pid ${run.pid}`);
        return run;
      }
      const words = typeof outcome === 'string' ? outcome : outcome.stderr.trim().split('\n')[0];
      const said = firstError(textIfThere(its.lxcLog)) ?? words ?? '';
      const reason = keyTooNew(said) ?? said;
      await giveUp(container);
      throw new StepFailure('lxc-start', reason === '' ? 'it ended before its init ran' : reason);
    },
    async adopt(container) {
      const its = containerPlaces(places, container);
      const record = readRunRecord(its.runRecord);
      const end = performance.now() + START_TIMEOUT_MS;
      // lxc-start of a service that was killed goes on without it.
      const isStarting = record !== undefined && record.pid === undefined;
      while (isStarting && startClients(path, container).length > 0 && performance.now() < end) await delay(LOOK_MS);
      const monitor = monitorOf(its.monitorPid, path, container);
      if (record?.pid !== undefined) {
        if (monitor !== undefined) log.info(`adopted ${container} with pid ${record.pid}`);
        watch(container, record.pid, monitor, record);
      } else if (record !== undefined || monitor !== undefined) {
        const run = await found(container, record?.startedMs ?? Date.now());
        if (run === undefined) await giveUp(container);
        else log.info(`adopted ${container} with pid ${run.pid}, started by a service that was killed meanwhile`);
      }
    },
  };
}

/** Whoever waits for what is known already has gone on by then. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function describe({ status }: ExitRecord): string {
  switch (status.kind) {
    case 'code':
      return `exit code ${status.code}`;
    case 'signal':
      return `signal ${status.signal}`;
    case 'unknown':
      return 'it is not known how';
  }
}

function writtenMs(path: string): number {
  return Math.floor(statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
}
