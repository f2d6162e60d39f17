// What all parts of one container share: its record, its status machine with the effects, what is written down of it, and the
// queue that lets its starts and stops happen one after the other.
import type { Logger } from '../../shared/log/logger.ts';
import type { ContainerPlan } from '../../shared/revision/revision.ts';
import type { Status } from '../../shared/schema/api.ts';
import type { ExitStatus } from '../../shared/schema/exit.ts';
import type { HealthReason } from '../../shared/schema/health.ts';
import type { Clock } from './clock.ts';
import { type ContainerEffect, type ContainerEvent, transition } from './container-status.ts';
import { goalMet } from './group-status.ts';
import type { Intent, IntentStore } from './intent-store.ts';
import type { RequestReboot } from './reboot-request.ts';
import type { Run } from './standing.ts';
import type { Plumbing, StartContext } from './start-pipeline.ts';
import { createUptime, type Uptime } from './uptime.ts';

export interface ExitEvent {
  readonly pid: number;
  readonly status: ExitStatus;
  readonly atMs: number;
}

/** A reboot that nothing can help but, and which what is tried makes superfluous if it is given up. */
export interface HeldReboot {
  readonly code: string;
  readonly message: string;
  /** Of the run that ended, if it is the only one for whose end it is asked. */
  readonly downPid?: number | undefined;
}

/** Its retries are used up. */
export interface Exhausted {
  /** Of the clock's elapsedMs. */
  readonly atMs: number;
  readonly message: string;
}

export interface CoreContext extends StartContext {
  readonly clock: Clock;
  readonly log: Logger;
  readonly intents: IntentStore;
  readonly requestReboot: RequestReboot;
  /** For what a boot lacks; nothing comes of it where something ran already when this service started. */
  readonly requestRebootAtBoot: RequestReboot;
  /** What runs is tried: who gives up makes it go back, which is more than a reboot would do. */
  isTried(): boolean;
  /** Resolves when no earlier group lacks a goal, or that was waited for long enough. */
  mayStart(): Promise<void>;
  /** Those that it needs. False: it is started when they do, if it lacks its network. */
  poolsStand(): boolean;
  /** Its status or row changed. */
  changed(): void;
}

/** All that state-svc knows of a container and may forget: what may not is in the intents. */
interface ContainerRecord {
  status: Status;
  sinceMs: number;
  run: Run | undefined;
  /** Of the clock's elapsedMs: since when it runs, which the wall clock does not tell. */
  runSinceMs: number;
  exit: { readonly status: ExitStatus; readonly atMs: number } | undefined;
  plumbing: Plumbing | undefined;
  /** Mounts that were busy when it was stopped. */
  detached: readonly string[];
  /** Taken from where it stands: what is known of it here is true. */
  adopted: boolean;
  /** The revision of its last mount, of which it may run when others have followed. */
  mountedFrom: string | undefined;
  /** Why it is not as it should be. */
  problem: HealthReason | undefined;
  /** Its last start failed for want of its network, and nobody tries it again. */
  lacksNetwork: boolean;
  stable: boolean;
  /** While it waits for the pause after its last retry. */
  exhausted: Exhausted | undefined;
  /** Asked for when the trial is over, if nothing has started it by then. */
  heldReboot: HeldReboot | undefined;
  /** A start is under way. */
  starting: boolean;
  /** Its first start was tried, or is nobody's business any more. */
  tried: boolean;
  /** A start that is under way goes on only while this holds. */
  wanted: boolean;
  /** Ends its wait for its turn: what does not want it any more waits for it to be over. */
  callOff: () => void;
  /** Exits of the run that is being started can come before the answer that tells its pid. */
  earlyExit: ExitEvent | undefined;
  /** Runs that were started or adopted; the ones after the first are restarts. */
  runs: number;
  recoveryDelayMs: number;
  /** The tree goes down: nothing is started any more. */
  closing: boolean;
}

export interface ContainerCore {
  readonly plan: ContainerPlan;
  readonly context: CoreContext;
  readonly record: ContainerRecord;
  /** False: the event means nothing in this status, and nothing happened. */
  apply(event: ContainerEvent): boolean;
  intent(): Intent;
  /** Resolves when it is on disk, or when it was told that the disk takes nothing: containers must not stop for that. */
  remember(change: Partial<Intent>): Promise<void>;
  fault(code: string, message: string): void;
  enqueue(operation: () => Promise<void>): void;
  /** No timer of it fires any more. */
  disarm(): void;
}

/** Health: its init has ended again and again, and auto-recovery starts it once more. */
export const CONTAINER_RECOVERING = 'CONTAINER_RECOVERING';

/** `onRecoveryDue`: auto-recovery has waited long enough. */
export function createCore(plan: ContainerPlan, context: CoreContext, onRecoveryDue: () => void): ContainerCore {
  const { log, intents } = context;
  const { name } = plan;
  const record = newRecord(context.clock.nowMs());
  let work: Promise<void> = Promise.resolve();
  let cancelRecovery: () => void = () => undefined;

  const remember = (change: Partial<Intent>): Promise<void> =>
    intents
      .set(name, change)
      .catch((error: unknown) => log.error(`cannot write down what ${name} is meant to be: ${error}`));
  const fault = (code: string, message: string): void => {
    record.problem = { code, subject: name, message };
    log.error(`container ${name}: ${message}`);
  };
  const uptime = createUptime(plan.autoRecovery, context.clock, {
    onReset: () => {
      void remember({ retries: 0 });
      context.changed();
    },
    onStable: () => {
      record.stable = true;
      if (record.problem?.code === CONTAINER_RECOVERING) record.problem = undefined;
      context.changed();
    },
  });
  const effects: Readonly<Record<ContainerEffect, () => void>> = {
    watch: () => watchUptime(plan, record, uptime, context.clock.elapsedMs()),
    unwatch: () => uptime.stop(),
    wait: () => {
      cancelRecovery = context.clock.after(record.recoveryDelayMs, onRecoveryDue);
    },
    cancelWait: () => cancelRecovery(),
    forget: () => {
      record.run = undefined;
    },
  };

  return {
    plan,
    context,
    record,
    intent: () => intents.get(name),
    remember,
    fault,
    apply(event) {
      const next = transition(record.status, event);
      if (next === undefined) return false;
      if (next.state !== record.status) {
        log.info(`container ${name}: ${record.status} -> ${next.state}`);
        record.status = next.state;
        record.sinceMs = context.clock.nowMs();
      }
      for (const effect of next.effects) effects[effect]();
      context.changed();
      return true;
    },
    enqueue(operation) {
      work = work.then(operation).catch((error: unknown) => fault('CONTAINER_FAILED', `internal error: ${error}`));
    },
    disarm() {
      uptime.stop();
      cancelRecovery();
    },
  };
}

/** `run`: as lxc-svc has just told it. */
export function setRun({ record, context }: ContainerCore, run: Run): void {
  record.run = run;
  record.runSinceMs = context.clock.elapsedMs() - run.upMs;
}

function watchUptime(plan: ContainerPlan, record: ContainerRecord, uptime: Uptime, elapsedMs: number): void {
  if (record.status === 'MOUNTED' && plan.statusGoal !== 'MOUNTED') return;
  const upMs = record.run === undefined ? 0 : elapsedMs - record.runSinceMs;
  uptime.started(upMs);
  if (!goalMet({ status: record.status, goal: plan.statusGoal })) return;
  // When READY was signalled is not written down: after an adoption it counts from there.
  uptime.goalReached(plan.statusGoal === 'READY' ? 0 : upMs);
}

function newRecord(sinceMs: number): ContainerRecord {
  return {
    status: 'INSTALLED',
    sinceMs,
    run: undefined,
    runSinceMs: 0,
    exit: undefined,
    plumbing: undefined,
    detached: [],
    adopted: false,
    mountedFrom: undefined,
    problem: undefined,
    lacksNetwork: false,
    stable: false,
    exhausted: undefined,
    heldReboot: undefined,
    starting: false,
    tried: false,
    wanted: false,
    callOff: () => undefined,
    earlyExit: undefined,
    runs: 0,
    recoveryDelayMs: 0,
    closing: false,
  };
}
