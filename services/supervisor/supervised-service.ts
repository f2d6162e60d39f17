// One service under supervision: drives the life table with a real process, timers and the broker's word on readiness and beats.
import type { Contract } from '../../shared/ipc/contract.ts';
import type { Logger } from '../../shared/log/logger.ts';
import { patient, pulseOf } from './heartbeat.ts';
import { isStopped } from './process-record.ts';
import {
  decideRestart,
  FRESH,
  HEALTHY_AFTER_MS,
  isDegraded,
  type RestartHistory,
  SLOW_RETRY_MS,
} from './restart-policy.ts';
import { type LifeEffect, type LifeEvent, type LifeState, step } from './service-life.ts';
import type { ProcessEnd, ServiceProcess } from './spawn-service.ts';

/** How long a service that was asked to end may take before it is killed. */
const STOP_DEADLINE_MS = 3_000;
/** Why it was killed. */
const STOPPED = 'stopped by a signal (SIGSTOP)';

export interface LastExit {
  readonly reason: string;
  readonly lastWords: string;
  /** Epoch milliseconds. */
  readonly atMs: number;
}

export interface SupervisedService {
  readonly contract: Contract;
  readonly state: LifeState;
  /** 0 while there is no process. */
  readonly pid: number;
  readonly restarts: number;
  readonly lastExit: LastExit | undefined;
  /** Milliseconds since it was ready; undefined while it is not. */
  readonly upMs: number | undefined;
  readonly degraded: boolean;
  start(): void;
  /** Resolves when it has ended. */
  stop(): Promise<void>;
  /** Kills it so that it comes back with what it now inherits. */
  renew(reason: string): void;
  onReady(): void;
  onBeat(): void;
  /** The broker lost or closed its connection: a process that cannot talk is of no use. */
  onGone(reason: string): void;
  /** Called every now and then with the monotonic time, milliseconds. */
  checkPulse(nowMs: number): void;
}

export interface Surroundings {
  readonly log: Logger;
  spawn(onEnd: (end: ProcessEnd) => void): ServiceProcess;
  connect(child: ServiceProcess): void;
  disconnect(): void;
  /** `reason` is empty when it is ready. */
  announce(state: LifeState, reason: string): void;
}

export function createSupervisedService(contract: Contract, around: Surroundings): SupervisedService {
  const { log } = around;
  let state: LifeState = 'stopped';
  let child: ServiceProcess | undefined;
  let history: RestartHistory = FRESH;
  let restarts = 0;
  let lastExit: LastExit | undefined;
  let readySinceMs: number | undefined;
  let lastBeatMs = 0;
  let timer: NodeJS.Timeout | undefined;
  let lateInARow = 0;
  let killReason = '';
  let goneReason = '';
  const stopWaiters: (() => void)[] = [];
  // A wall clock that is set would turn seconds of health into decades, or ends of an hour ago into recent ones.
  const now = (): number => performance.now();
  const upMs = (): number | undefined => (readySinceMs === undefined ? undefined : now() - readySinceMs);

  const isAskedToEnd = (): boolean => state === 'stopping' || state === 'renewing';
  const watch = () => patient(contract.watch, lateInARow);
  const wasLate = (): void => {
    lateInARow = (upMs() ?? 0) >= HEALTHY_AFTER_MS ? 1 : lateInARow + 1;
  };

  const after = (ms: number, event: LifeEvent, reason: string): void => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (event === 'late') killReason = reason;
      if (event === 'late' && state === 'starting') wasLate();
      handle(event);
    }, ms);
  };

  const spawn = (): void => {
    killReason = '';
    goneReason = '';
    try {
      const started: ServiceProcess = around.spawn((end) => {
        if (child === started) onEnded(end, started.lastWords());
      });
      child = started;
      around.connect(started);
    } catch (error) {
      // No process, no memory, no descriptors left: as bad as a service that ends at once, and no worse.
      setImmediate(() => onEnded({ code: null, signal: null }, String(error)));
      return;
    }
    const { readyMs } = watch();
    after(readyMs, 'late', `not ready within ${readyMs} ms`);
  };

  const onEnded = (end: ProcessEnd, lastWords: string): void => {
    around.disconnect();
    const gone = goneReason === '' ? '' : `, disconnected: ${goneReason}`;
    const how = killReason === '' ? `${describeEnd(end)}${gone}` : killReason;
    lastExit = { reason: how, lastWords, atMs: Date.now() };
    if (!isAskedToEnd()) log.warn(`${contract.service} ended: ${how}`, { lastWords: lastExit.lastWords });
    child = undefined;
    handle('ended');
  };

  const scheduleRestart = (): void => {
    const decision = decideRestart(history, now(), upMs() ?? 0, Math.random());
    history = decision.history;
    restarts += 1;
    if (decision.degraded) {
      log.error(`${contract.service} ends too often, retrying every ${SLOW_RETRY_MS} ms`);
    }
    after(decision.delayMs, 'restartDue', '');
  };

  const effects: Readonly<Record<LifeEffect, () => void>> = {
    spawn,
    kill: () => child?.kill(),
    askToEnd: () => {
      around.disconnect();
      after(STOP_DEADLINE_MS, 'late', `did not end within ${STOP_DEADLINE_MS} ms`);
    },
    scheduleRestart,
    cancelRestart: () => clearTimeout(timer),
    announce: () => around.announce(state, state === 'ready' ? '' : (lastExit?.reason ?? '')),
  };

  const handle = (event: LifeEvent): void => {
    const next = step(state, event);
    state = next.state;
    if (state === 'ready' && event === 'ready') {
      clearTimeout(timer);
      readySinceMs = now();
    }
    for (const effect of next.effects) effects[effect]();
    if (state !== 'ready' && !isAskedToEnd()) readySinceMs = undefined;
    if (state === 'stopped') clearTimeout(timer);
    // Its end is what they wait for, also where it was told to start again meanwhile.
    if (event === 'ended' || state === 'stopped') {
      for (const resolve of stopWaiters.splice(0)) resolve();
    }
  };

  return {
    contract,
    get state() {
      return state;
    },
    get pid() {
      return child?.pid ?? 0;
    },
    get restarts() {
      return restarts;
    },
    get lastExit() {
      return lastExit;
    },
    get upMs() {
      return upMs();
    },
    get degraded() {
      return isDegraded(history, now());
    },
    start: () => handle('start'),
    stop: () =>
      new Promise((resolve) => {
        if (state === 'stopped') return resolve();
        stopWaiters.push(resolve);
        handle('stop');
      }),
    renew(reason) {
      killReason = reason;
      child?.kill();
    },
    onReady() {
      lastBeatMs = now();
      handle('ready');
    },
    onBeat() {
      lastBeatMs = now();
    },
    onGone(reason) {
      if (state !== 'starting' && state !== 'ready') return;
      goneReason ||= reason;
      child?.kill();
    },
    checkPulse(nowMs) {
      if (child === undefined) return;
      if (state !== 'ready') {
        // Nobody beats before that, nor on the way to the end.
        if (!isStopped(child.pid)) return;
        killReason = STOPPED;
        return handle('late');
      }
      const { missedBeats } = watch();
      const pulse = pulseOf(watch(), nowMs - lastBeatMs);
      if (pulse === 'beating') return;
      if (pulse === 'silent') {
        killReason = `missed ${missedBeats} heartbeats`;
        wasLate();
      } else if (isStopped(child.pid)) killReason = STOPPED;
      else return;
      handle('silent');
    },
  };
}

function describeEnd({ code, signal }: ProcessEnd): string {
  if (signal !== null) return `killed by ${signal}`;
  return code === null ? 'could not be started' : `exited with ${code}`;
}
