// One container of the revision as the rest of state-svc sees it: what it shows, and what may be asked of it.
import type { ContainerPlan } from '../../shared/revision/revision.ts';
import type { ContainerAction, ContainerRow, Status } from '../../shared/schema/api.ts';
import type { HealthReason } from '../../shared/schema/health.ts';
import { adopt, learnNetworkAgain } from './container-adoption.ts';
import { type ContainerCore, type CoreContext, createCore, type Exhausted, type ExitEvent } from './container-core.ts';
import { askHeldReboot, begin, CONTAINER_NOT_CLEAN, exited, restart, stop } from './container-life.ts';
import { ALLOWED_FROM, FULFILLED_IN, refusal } from './container-status.ts';
import type { Member } from './group-status.ts';
import type { Intent } from './intent-store.ts';
import { containerRow } from './rows.ts';
import type { Actual, Run, Standing } from './standing.ts';

export interface ContainerContext extends Omit<CoreContext, 'mayStart' | 'changed'> {
  mayStart(container: Container): Promise<void>;
  /** Why nothing of the revision may be started; undefined: it may. */
  notYet(): string | undefined;
  changed(container: Container): void;
}

export type ControlAnswer =
  | { readonly kind: 'accepted' }
  | { readonly kind: 'system' }
  | { readonly kind: 'notAllowed'; readonly status: Status; readonly reason: string };

export interface Container extends Member {
  readonly plan: ContainerPlan;
  readonly userStopped: boolean;
  /** It has lived for its stable_timeout since its goal. */
  readonly stable: boolean;
  /** A start is under way. */
  readonly starting: boolean;
  /** Its first start was tried, or is nobody's business any more. */
  readonly tried: boolean;
  /** STOPPED, and not on its way through a restart. */
  readonly ended: boolean;
  readonly run: Run | undefined;
  /** False: nothing is known of it here, and it may run all the same. */
  readonly adopted: boolean;
  /** The revision that it was mounted from, or is being mounted from; undefined: none that is known of. */
  readonly mountedFrom: string | undefined;
  /** While it waits for the pause after its last retry, as far as that was seen here. */
  readonly exhausted: Exhausted | undefined;
  /** Why it is not as it should be. */
  readonly problem: HealthReason | undefined;
  /** Its last start failed for want of its network, and nobody tries it again. */
  readonly lacksNetwork: boolean;
  row(): ContainerRow;
  /** Its group's turn has come. */
  boot(): void;
  /** MOUNTED → BLOCKED. */
  hold(): void;
  /** Answers as soon as it is accepted and written down. */
  control(action: ContainerAction): Promise<ControlAnswer>;
  /** False: it has no business to signal READY now. */
  signalReady(): Promise<boolean>;
  exited(event: ExitEvent): void;
  /** What was tried is not any more: asks for the reboot that it needed meanwhile, if it still does. */
  trialEnded(): void;
  /** Its pools stand now: its network is asked for again if it could not be learnt of when it was adopted. */
  poolsCame(): void;
  /** It was given back. */
  forgetLease(pool: string, address: string): void;
  /** Once, before anything else: take it from where it stands, as lxc-svc found it. */
  adopt(standing: Standing, actual: Actual | undefined): Promise<void>;
  /** For good, whatever it is at; answers what could not be taken away. What it is meant to be after the next boot stays as it is. */
  shutDown(): Promise<readonly string[]>;
  close(): void;
}

export function createContainer(plan: ContainerPlan, context: ContainerContext): Container {
  return new PlannedContainer(plan, context);
}

/** A class, since an object with getters of its own takes 2 KB. */
class PlannedContainer implements Container {
  readonly plan: ContainerPlan;
  readonly goal: ContainerPlan['statusGoal'];
  readonly #core: ContainerCore;
  readonly #notYet: () => string | undefined;

  constructor(plan: ContainerPlan, context: ContainerContext) {
    this.plan = plan;
    this.goal = plan.statusGoal;
    this.#core = createCore(
      plan,
      { ...context, mayStart: () => context.mayStart(this), changed: () => context.changed(this) },
      () => begin(this.#core, 'recovery'),
    );
    this.#notYet = context.notYet;
  }

  get status(): Status {
    return this.#core.record.status;
  }

  get stable(): boolean {
    return this.#core.record.stable;
  }

  get userStopped(): boolean {
    return this.plan.restartPolicy === 'container' && this.#core.intent().userStopped;
  }

  get starting(): boolean {
    return this.#core.record.starting;
  }

  get tried(): boolean {
    return this.#core.record.tried;
  }

  get ended(): boolean {
    return this.#core.record.status === 'STOPPED' && this.#core.intent().pendingStart === null;
  }

  get run(): Run | undefined {
    return this.#core.record.run;
  }

  get adopted(): boolean {
    return this.#core.record.adopted;
  }

  get mountedFrom(): string | undefined {
    return this.#core.record.mountedFrom;
  }

  get exhausted(): Exhausted | undefined {
    return this.#core.record.exhausted;
  }

  get problem(): HealthReason | undefined {
    return this.#core.record.problem;
  }

  get lacksNetwork(): boolean {
    return this.#core.record.lacksNetwork;
  }

  row(): ContainerRow {
    const { plan } = this;
    const { record } = this.#core;
    const { userStopped, retries, restarts } = this.#core.intent();
    return containerRow({ plan, ...record, pid: record.run?.pid, userStopped, retries, restarts });
  }

  boot(): void {
    begin(this.#core, 'boot');
  }

  hold(): void {
    this.#core.apply('held');
  }

  control(action: ContainerAction): Promise<ControlAnswer> {
    return control(this.#core, action, this.#notYet());
  }

  signalReady(): Promise<boolean> {
    return signalReady(this.#core);
  }

  exited(event: ExitEvent): void {
    exited(this.#core, event);
  }

  trialEnded(): void {
    askHeldReboot(this.#core);
  }

  poolsCame(): void {
    learnNetworkAgain(this.#core);
  }

  forgetLease(pool: string, address: string): void {
    const { record, context } = this.#core;
    const { plumbing } = record;
    if (plumbing === undefined) return;
    const leases = plumbing.leases.filter((lease) => lease.pool !== pool || lease.address !== address);
    record.plumbing = { ...plumbing, leases };
    context.changed();
  }

  adopt(standing: Standing, actual: Actual | undefined): Promise<void> {
    return adopt(this.#core, standing, actual);
  }

  shutDown(): Promise<readonly string[]> {
    const core = this.#core;
    core.record.closing = true;
    // Should the tree die in the middle of it: what ended then was told to, and that is not how it ended.
    core.enqueue(() => (this.userStopped ? Promise.resolve() : core.remember({ pendingStart: { replacesPid: 0 } })));
    return new Promise((resolve) => stop(core, resolve));
  }

  close(): void {
    this.#core.record.closing = true;
    this.#core.disarm();
  }
}

async function control(
  core: ContainerCore,
  action: ContainerAction,
  notYet: string | undefined,
): Promise<ControlAnswer> {
  const { plan, record } = core;
  const { status } = record;
  if (plan.restartPolicy === 'system') return { kind: 'system' };
  if (record.closing) return { kind: 'notAllowed', status, reason: 'everything is being stopped' };
  if (action !== 'stop' && notYet !== undefined) return { kind: 'notAllowed', status, reason: notYet };
  const isFulfilled = FULFILLED_IN[action].includes(status);
  if (!isFulfilled && !ALLOWED_FROM[action].includes(status)) {
    return { kind: 'notAllowed', status, reason: refusal(action, status) };
  }
  core.context.log.info(`container ${plan.name}: the user asked for ${action}, in status ${status}`);
  if (isFulfilled) {
    if (action === 'stop') await staysStopped(core);
    return { kind: 'accepted' };
  }
  const replacesPid = action === 'restart' ? (record.run?.pid ?? 0) : 0;
  // The new status does not wait for the disk: a second request must meet it. A stop does: an init that was told to end looks, to a
  // state-svc that does not know of the order, as if it had ended by itself. A start waits before its init runs: what is mounted for a
  // container that the user stopped looks like the rest of that stop, and is taken away.
  const written =
    action === 'stop'
      ? core.remember(USER_STOPPED)
      : core.remember({
          userStopped: false,
          pendingStart: { replacesPid },
          retries: 0,
          recoveryDelayMs: null,
          readyPid: null,
        });
  if (action === 'start' || (action === 'restart' && status === 'STOPPED')) {
    begin(core, 'user', written);
  } else {
    core.enqueue(() => written);
    if (action === 'restart') restart(core);
    else stop(core, () => undefined);
  }
  await written;
  return { kind: 'accepted' };
}

const USER_STOPPED: Partial<Intent> = { userStopped: true, pendingStart: null, recoveryDelayMs: null };

/** It is down, or on its way there, perhaps of itself or for a restart: from now on nobody but the user starts it. */
async function staysStopped(core: ContainerCore): Promise<void> {
  const { record } = core;
  record.lacksNetwork = false;
  // What is left of it stays a matter.
  if (record.status === 'STOPPED' && record.problem?.code !== CONTAINER_NOT_CLEAN) record.problem = undefined;
  const written = core.remember(USER_STOPPED);
  core.context.changed();
  await written;
}

const SIGNALS_FROM: readonly Status[] = ['STARTING', 'STARTED', 'READY'];

async function signalReady(core: ContainerCore): Promise<boolean> {
  const { plan, record } = core;
  if (plan.statusGoal !== 'READY') return false;
  if (!record.adopted) {
    // It runs all the same, of a revision that was refused: its adoption will know which run that is.
    await core.remember({ readyPid: 0 });
    return true;
  }
  if (!SIGNALS_FROM.includes(record.status)) return false;
  const written = core.remember({ readyPid: record.run?.pid ?? 0 });
  core.apply('signalled');
  await written;
  return true;
}
