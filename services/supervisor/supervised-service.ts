// One service under supervision: drives the life table with a real process, a timer and the broker's word on readiness and beats.
import type { Contract } from '../../shared/ipc/contract.ts';
import type { Logger } from '../../shared/log/logger.ts';
import { type CurrentProcess, createCurrentProcess, type ProcessSurroundings } from './current-process.ts';
import { createExitRecord, type ExitRecord, type LastExit } from './exit-record.ts';
import { isStopped, waitedForProcessorMs } from './process-record.ts';
import { createRestarts, type Restarts } from './restarts.ts';
import { type LifeEffect, type LifeEvent, type LifeState, step } from './service-life.ts';
import { createServicePulse, type ServicePulse } from './service-pulse.ts';

/** How long a service that was asked to end may take before it is killed. */
const STOP_DEADLINE_MS = 3_000;
/** Why it was killed. */
const STOPPED = 'stopped by a signal (SIGSTOP)';

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
  /** Kills it so that it comes back at once with what it now inherits, which is no failure of its own. */
  renew(reason: string): void;
  onReady(): void;
  onBeat(): void;
  /** The broker lost or closed its connection: a process that cannot talk is of no use. */
  onGone(reason: string): void;
  /** Called every now and then with the monotonic time, milliseconds. */
  checkPulse(nowMs: number): void;
  /** Asks the kernel whether its process is stopped: it is of no use then, and waiting for beats to be missed would take longer. */
  checkStopped(): void;
}

export interface Surroundings extends ProcessSurroundings {
  readonly log: Logger;
  /** `reason` is empty when it is ready. */
  announce(state: LifeState, reason: string): void;
}

export function createSupervisedService(contract: Contract, around: Surroundings): SupervisedService {
  const exits = createExitRecord();
  const pulse = createServicePulse(contract.watch);
  const restarts = createRestarts(contract.service, around.log);
  const life = createLife(contract, around, { exits, pulse, restarts });
  const { process, handle } = life;
  return {
    contract,
    get state() {
      return life.state;
    },
    get pid() {
      return process.pid;
    },
    get restarts() {
      return restarts.count;
    },
    get lastExit() {
      return exits.last;
    },
    get upMs() {
      return pulse.upMs;
    },
    get degraded() {
      return restarts.degraded;
    },
    start: () => handle('start'),
    stop: () => life.stop(),
    renew(reason) {
      // Whoever has no process, or is about to have another one, inherits it then.
      if (life.state !== 'starting' && life.state !== 'ready') return;
      around.log.info(`${contract.service} starts anew: ${reason}`);
      exits.killedFor(reason);
      handle('stop');
      handle('start');
      process.kill();
    },
    onReady() {
      pulse.beat();
      handle('ready');
    },
    onBeat: () => pulse.beat(),
    onGone(reason) {
      if (life.state !== 'starting' && life.state !== 'ready') return;
      exits.disconnectedFor(reason);
      process.kill();
    },
    checkPulse(nowMs) {
      // Nobody beats before it is ready, nor on the way to the end.
      if (life.state !== 'ready' || !pulse.isSilent(nowMs, () => waitedForProcessorMs(process.pid))) return;
      exits.killedFor(`missed ${pulse.watch.missedBeats} heartbeats`);
      pulse.late();
      handle('silent');
    },
    checkStopped() {
      if (process.pid === 0 || !isStopped(process.pid)) return;
      exits.killedFor(STOPPED);
      handle(life.state === 'ready' ? 'silent' : 'late');
    },
  };
}

/** What is known of it from one process to the next. */
interface Known {
  readonly exits: ExitRecord;
  readonly pulse: ServicePulse;
  readonly restarts: Restarts;
}

interface Life {
  readonly state: LifeState;
  readonly process: CurrentProcess;
  handle(event: LifeEvent): void;
  /** Resolves with its end. */
  stop(): Promise<void>;
}

function createLife(contract: Contract, around: Surroundings, { exits, pulse, restarts }: Known): Life {
  let state: LifeState = 'stopped';
  let timer: NodeJS.Timeout | undefined;
  const stopWaiters: (() => void)[] = [];
  const isAskedToEnd = (): boolean => state === 'stopping' || state === 'renewing';

  const process = createCurrentProcess(around, (end, words) => {
    const { reason, lastWords } = exits.ended(end, words);
    if (!isAskedToEnd()) around.log.warn(`${contract.service} ended: ${reason}`, { lastWords });
    handle('ended');
  });

  const after = (ms: number, act: () => void): void => {
    clearTimeout(timer);
    timer = setTimeout(act, ms);
  };
  const lateAfter = (ms: number, what: string): void =>
    after(ms, () => {
      exits.killedFor(`${what} within ${ms} ms`);
      if (state === 'starting') pulse.late();
      handle('late');
    });

  const effects: Readonly<Record<LifeEffect, () => void>> = {
    spawn() {
      exits.began();
      if (process.start()) lateAfter(pulse.watch.readyMs, 'not ready');
    },
    kill: () => process.kill(),
    askToEnd() {
      around.disconnect();
      lateAfter(STOP_DEADLINE_MS, 'did not end');
    },
    scheduleRestart: () => after(restarts.next(pulse.upMs ?? 0), () => handle('restartDue')),
    cancelRestart: () => clearTimeout(timer),
    announce: () => around.announce(state, state === 'ready' ? '' : (exits.last?.reason ?? '')),
  };

  const handle = (event: LifeEvent): void => {
    const next = step(state, event);
    state = next.state;
    if (state === 'ready' && event === 'ready') {
      clearTimeout(timer);
      pulse.ready();
    }
    for (const effect of next.effects) effects[effect]();
    if (state !== 'ready' && !isAskedToEnd()) pulse.over();
    if (state === 'stopped') clearTimeout(timer);
    // Its end is what they wait for, also where it was told to start again meanwhile.
    if (event === 'ended' || state === 'stopped') {
      for (const resolve of stopWaiters.splice(0)) resolve();
    }
  };

  return {
    get state() {
      return state;
    },
    process,
    handle,
    stop: () =>
      new Promise((resolve) => {
        if (state === 'stopped') return resolve();
        stopWaiters.push(resolve);
        handle('stop');
      }),
  };
}
