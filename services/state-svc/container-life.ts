// How a container comes up, ends, comes up again and goes: the pipeline's outcomes, exits and stops as events of its status
// machine, and what auto-recovery makes of them.
import type { ExitStatus } from '../../shared/schema/exit.ts';
import { CONTAINER_RECOVERING, type ContainerCore, type ExitEvent, setRun } from './container-core.ts';
import { downText, exhaustedText, exitText } from './ending-text.ts';
import type { Intent } from './intent-store.ts';
import type { RebootNeed } from './reboot-request.ts';
import { recover, recovers, SYSTEM_CONTAINER_DOWN } from './recovery.ts';
import type { Run } from './standing.ts';
import { addressRefusal, isNetworkStep, type StartFailure } from './start-failure.ts';
import { type StartOutcome, startContainer, tearDown } from './start-pipeline.ts';

/** Between the polite signal and SIGKILL. */
export const STOP_GRACE_MS = 5000;

/** Before a start is tried again for which a service was down too long; the supervisor's slowest retry. */
const SERVICE_BACK_MS = 5000;

/** Mounts that a row names. */
const MAX_DETACHED = 16;

/** Health: something of it is left that could not be taken away. */
export const CONTAINER_NOT_CLEAN = 'CONTAINER_NOT_CLEAN';

export type StartCause = 'boot' | 'user' | 'recovery';

/** Accepts a start; it happens when what is under way is over. `written`: the order is on disk, without which nothing of it runs. */
export function begin(core: ContainerCore, cause: StartCause, written: Promise<void> = Promise.resolve()): void {
  const { record } = core;
  if (record.closing) return;
  // Before it is told of: a boot whose turn it is would take it for one that nobody starts, and start it as well.
  Object.assign(record, { wanted: true, starting: true, tried: true, stable: false, earlyExit: undefined });
  record.lacksNetwork = false;
  record.exhausted = undefined;
  record.heldReboot = undefined;
  record.detached = [];
  core.apply('begin');
  core.enqueue(() => runStart(core, cause, written));
}

async function runStart(core: ContainerCore, cause: StartCause, written: Promise<void>): Promise<void> {
  const { record, context } = core;
  const calledOff = new Promise<void>((resolve) => {
    record.callOff = resolve;
  });
  if (record.wanted && core.intent().readyPid !== null) await core.remember({ readyPid: null });
  const lackedPools = !context.poolsStand();
  const outcome: StartOutcome = record.wanted
    ? await startContainer(core.plan, context, {
        wanted: () => record.wanted,
        onMounting: (revision) => {
          record.mountedFrom = revision;
        },
        onMounted: () => void core.apply('mounted'),
        // Only a boot has an order to keep; the user and auto-recovery mean this container.
        mayStart: () => (cause === 'boot' ? Promise.race([context.mayStart(), calledOff]) : written),
        onStarting: () => void core.apply('starting'),
        onPlumbed: (plumbing) => {
          record.plumbing = plumbing;
        },
      })
    : { kind: 'abandoned' };
  record.starting = false;
  await settleStart(core, { cause, lackedPools }, outcome);
  context.changed();
}

interface Begun {
  readonly cause: StartCause;
  /** Those that it needs did not stand when it began. */
  readonly lackedPools: boolean;
}

async function settleStart(core: ContainerCore, begun: Begun, outcome: StartOutcome): Promise<void> {
  switch (outcome.kind) {
    case 'abandoned':
      return;
    case 'mounted':
      core.record.problem = undefined;
      return core.remember({ pendingStart: null, recoveryDelayMs: null });
    case 'started':
      return settleStarted(core, outcome.run);
    case 'failed': {
      const { failure, notUndone } = outcome;
      const left = notUndone.length === 0 ? '' : `; not undone: ${notUndone.join('; ')}`;
      return settleFailed(core, begun, failure, `could not be started: ${failure.step}: ${failure.reason}${left}`);
    }
  }
}

async function settleStarted(core: ContainerCore, run: Run): Promise<void> {
  const { record } = core;
  setRun(core, run);
  // It has started before, too.
  if (!(record.problem?.code === CONTAINER_RECOVERING && isRow(core.intent().retries))) record.problem = undefined;
  record.runs += 1;
  const early = core.intent().readyPid === 0;
  if (!core.apply('started')) return;
  core.context.log.info(`container ${core.plan.name}: its init runs as pid ${run.pid}`);
  const done: Partial<Intent> = {
    pendingStart: null,
    recoveryDelayMs: null,
    lastExit: record.exit,
    exhaustedMs: undefined,
  };
  if (record.runs > 1) done.restarts = core.intent().restarts + 1;
  if (early) {
    done.readyPid = run.pid;
    core.apply('signalled');
  }
  const remembered = core.remember(done);
  const { earlyExit } = record;
  record.earlyExit = undefined;
  if (earlyExit?.pid === run.pid) exited(core, earlyExit);
  await remembered;
}

async function settleFailed(
  core: ContainerCore,
  { cause, lackedPools }: Begun,
  failure: StartFailure,
  message: string,
): Promise<void> {
  const { plan, record, context } = core;
  core.fault('CONTAINER_FAILED', message);
  // The stop that is under way has the last word.
  if (!record.wanted) return;
  detached(core);
  if (failure.passing) {
    // It is no failure of the container's, so none that its recovery counts; and what was accepted stays written down.
    if (record.closing) return;
    record.recoveryDelayMs = SERVICE_BACK_MS;
    core.apply('crashed');
    return;
  }
  const written = core.remember({ pendingStart: null, recoveryDelayMs: null });
  // It is started when they stand, and no try before that, nor a reboot, would be of use.
  const waits = isNetworkStep(failure.step) && (lackedPools || !context.poolsStand());
  // A try of auto-recovery that failed otherwise is one more failure for its policy to judge.
  if (cause === 'recovery' && recovers(plan.autoRecovery) && !waits)
    judge(core, { kind: 'unknown' }, { what: message });
  else core.apply('ended');
  const isLeft = record.status === 'STOPPED' && record.problem?.code !== 'RECOVERY_EXHAUSTED';
  record.lacksNetwork = isLeft && isNetworkStep(failure.step);
  const refusal = addressRefusal(failure);
  // As for a revision that is refused for its addresses. A start by hand takes nobody down, and auto-recovery has its own last word.
  if (cause === 'boot' && refusal !== undefined) {
    context.requestRebootAtBoot(refusal, `container ${plan.name} ${message}`, whileDown(core));
  } else if (isLeft && plan.restartPolicy === 'system' && !waits) {
    // Nobody else tries it again: auto-recovery is for what has run.
    goneDown(core, message, (...why) => context.requestRebootAtBoot(...why, whileDown(core)));
  }
  await written;
  // They came while it was undone, when nobody knew yet that it waits.
  if (waits && record.lacksNetwork && context.poolsStand()) begin(core, 'boot');
}

/** Its init ended. Repeats and ends of other runs are ignored. */
export function exited(core: ContainerCore, event: ExitEvent): void {
  const { record } = core;
  if (record.status === 'STARTING') {
    record.earlyExit = event;
    return;
  }
  if (record.run?.pid !== event.pid) return;
  record.exit = { status: event.status, atMs: event.atMs };
  if (record.status === 'STOPPING') {
    // The stop that is under way has the last word.
    core.context.changed();
    return;
  }
  record.stable = false;
  judge(core, event.status, { pid: event.pid });
}

export interface Judged {
  /** What happened, for people. */
  readonly what?: string;
  /** Of the run that ended. */
  readonly pid?: number | undefined;
  /** It ended beside an earlier tree: what that left running is not taken down for it. */
  readonly isOld?: boolean;
}

/** What auto-recovery makes of an end, or of a start that failed. */
export function judge(core: ContainerCore, exit: ExitStatus, judged: Judged = {}): void {
  const { plan, record, context } = core;
  const { what = `its init ${exitText(exit)}`, pid, isOld = false } = judged;
  const { retries, userStopped, downPid } = core.intent();
  const verdict = recover(plan, { exit, retries, userStopped });
  switch (verdict.kind) {
    case 'stay':
      if (!endedWell(exit)) core.fault('CONTAINER_FAILED', what);
      else if (record.problem?.code === CONTAINER_RECOVERING) record.problem = undefined;
      core.apply('ended');
      return;
    case 'retry':
      // What ends well and is started again may be meant so.
      if (isRow(verdict.retries) && !endedWell(exit)) troubled(core, retryText(core, what, verdict.retries));
      tryAgain(core, what, verdict.delayMs, verdict.retries);
      return;
    case 'pause':
      exhaust(core, pauseText(what, retries), context.clock.elapsedMs());
      tryAgain(core, pauseText(what, retries), verdict.delayMs, 0);
      return;
    case 'exhausted':
      core.fault('RECOVERY_EXHAUSTED', exhaustedText(what, retries));
      core.apply('ended');
      if (verdict.reboot) needReboot(core, 'RECOVERY_EXHAUSTED', `container ${plan.name} does not stay up`);
      return;
    case 'down':
      if (isOld) void core.remember({ downPid: pid });
      goneDown(core, what, isOld || downPid === pid ? undefined : (...why) => needReboot(core, ...why, pid));
      return;
  }
}

/** Held back while it is the trial's to judge: one that is found good already is not given up any more for an end that comes then. */
function needReboot(core: ContainerCore, code: string, message: string, downPid?: number): void {
  core.record.heldReboot = { code, message, downPid };
  if (!core.context.isTried()) askHeldReboot(core);
}

/** What was tried is committed, or given up without a reboot. */
export function askHeldReboot(core: ContainerCore): void {
  const { record, context } = core;
  const { heldReboot } = record;
  record.heldReboot = undefined;
  if (heldReboot === undefined || !isDown(core)) return;
  const { code, message, downPid } = heldReboot;
  const decided = (): void => {
    // Not before: a state-svc that dies over the trial, or while the reboot cannot be counted, asks for it at its next start.
    if (downPid !== undefined) void core.remember({ downPid });
  };
  context.requestReboot(code, message, { ...whileDown(core), decided });
}

/** Until it has run once more, or is nothing of what runs. */
function whileDown(core: ContainerCore): RebootNeed {
  const { record } = core;
  const { runs } = record;
  return { holds: () => isDown(core) && record.runs === runs && !record.closing };
}

/** And that is not what the user wants. */
function isDown({ plan, record, intent }: ContainerCore): boolean {
  return record.status === 'STOPPED' && !(plan.restartPolicy === 'container' && intent().userStopped);
}

/** `request` undefined: the reboot was asked for already, and did not come. */
function goneDown(
  core: ContainerCore,
  what: string,
  request: ((code: string, message: string) => void) | undefined,
): void {
  core.fault(SYSTEM_CONTAINER_DOWN, downText(what));
  core.apply('ended');
  request?.(SYSTEM_CONTAINER_DOWN, `container ${core.plan.name}: ${what}`);
}

/** One end may happen, and is over when the next run has begun. */
const isRow = (retries: number): boolean => retries > 1;

const endedWell = (exit: ExitStatus): boolean => exit.kind === 'code' && exit.code === 0;

function retryText({ plan }: ContainerCore, what: string, retries: number): string {
  const { maxRetries } = plan.autoRecovery ?? { maxRetries: 0 };
  return `${what}, retry ${retries}${maxRetries === 0 ? '' : ` of ${maxRetries}`}`;
}

/** It waits for the pause after its last retry. */
function exhaust(core: ContainerCore, message: string, atMs: number | undefined): void {
  if (atMs !== undefined) {
    core.record.exhausted = { atMs, message };
    void core.remember({ exhaustedMs: atMs });
  }
  troubled(core, message);
}

const pauseText = (what: string, retries: number): string => `${what} after ${retries} retries`;

/** For whoever asks how the device is; until it is stable. */
function troubled({ plan, record }: ContainerCore, message: string): void {
  record.problem = { code: CONTAINER_RECOVERING, subject: plan.name, message };
}

/** Of one that waits to be started again, whose ends a service before this one has counted. `exit` undefined: its last start failed. */
export function tellOfWait(core: ContainerCore, exit: ExitStatus | undefined): void {
  const { retries, exhaustedMs } = core.intent();
  const what = exit === undefined ? 'its last start failed' : `its init ${exitText(exit)}`;
  // Only a pause starts the counter over.
  if (retries === 0) exhaust(core, pauseText(what, core.plan.autoRecovery?.maxRetries ?? 0), exhaustedMs);
  else if (isRow(retries) && !(exit !== undefined && endedWell(exit))) troubled(core, retryText(core, what, retries));
}

/** Of one that runs. How it ended is not known any more, so that with other policies all may have been meant so. */
export function tellOfRow(core: ContainerCore): void {
  const { retries } = core.intent();
  if (core.plan.autoRecovery?.policy !== 'on-failure' || !isRow(retries)) return;
  troubled(core, retryText(core, 'its init has failed again and again', retries));
}

function tryAgain(core: ContainerCore, what: string, delayMs: number, retries: number): void {
  core.record.recoveryDelayMs = delayMs;
  void core.remember({ retries, recoveryDelayMs: delayMs });
  core.context.log.warn(`container ${core.plan.name}: ${what}, starting it again in ${delayMs} ms`);
  core.apply('crashed');
}

/** Accepts a stop; `after` runs when everything of the container is gone, or was tried to be. */
export function stop(core: ContainerCore, after: (left: readonly string[]) => void): void {
  core.record.wanted = false;
  core.record.callOff();
  core.apply('stop');
  core.enqueue(async () => after(await takeAway(core)));
}

/** As the user asked for: a stop that came since has the last word. */
export function restart(core: ContainerCore): void {
  stop(core, () => {
    if (!core.intent().userStopped) begin(core, 'user');
  });
}

async function takeAway(core: ContainerCore): Promise<readonly string[]> {
  const { plan, record } = core;
  record.detached = [];
  const onDetached = (targets: readonly string[]): void => {
    record.detached = targets.slice(0, MAX_DETACHED);
  };
  const left = await tearDown(plan.name, STOP_GRACE_MS, plan.network.mode === 'pool', { ...core.context, onDetached });
  if (left.length > 0) core.fault(CONTAINER_NOT_CLEAN, `could not be stopped cleanly: ${left.join('; ')}`);
  else record.problem = undefined;
  detached(core);
  core.apply('stopped');
  return left;
}

/** The lease stays, the interface is gone. */
function detached({ record }: ContainerCore): void {
  if (record.plumbing !== undefined) record.plumbing = { ...record.plumbing, hostInterfaces: [] };
}
