// Updates from the command to the commit or the rollback, and what a start of this service finds of them. What is decided here
// is pure (boot-state.ts, transition.ts, trial.ts); this is what is done about it, always after it was written down.
import type { Logger } from '../../shared/log/logger.ts';
import type { ContainerPlan } from '../../shared/revision/revision.ts';
import type { Reservation } from '../../shared/schema/network.ts';
import type { StepProgress } from '../../shared/schema/steps.ts';
import { createBootLog } from './boot-log.ts';
import { type BootEvent, type BootState, type Carried, neededBy, runningOf } from './boot-state.ts';
import type { BootStore } from './boot-store.ts';
import type { Clock } from './clock.ts';
import { knownOf, reservationsFor } from './known-revisions.ts';
import type { LogTail } from './log-tail.ts';
import type { Reboots } from './reboot-request.ts';
import type { RevisionStore } from './revision-store.ts';
import type { Stage } from './stage.ts';
import type { FailedStage } from './step-progress.ts';
import type { StepStore } from './step-store.ts';
import type { Transition } from './transition.ts';
import type { TrialLimits } from './trial.ts';
import type { UpdateHooks } from './update-hooks.ts';
import { installRevision, stageOf } from './update-install.ts';
import { createUpdateProgress, standsByBoot } from './update-progress.ts';
import { betweenCandidates, carriedOver } from './update-transition.ts';
import { createUpdateTrial } from './update-trial.ts';
import { type Candidate, readCandidate, verifyCandidate } from './verify-revision.ts';

export interface UpdateContext {
  readonly clock: Clock;
  readonly tail: LogTail;
  readonly store: RevisionStore;
  readonly bootStore: BootStore;
  /** What it had on disk; undefined: that could not be read. */
  readonly loaded: BootState | undefined;
  readonly steps: StepStore;
  readonly reboots: Reboots;
  readonly limits: TrialLimits;
  /** Of the tree: services of one life have restarted, the tree has not. */
  readonly life: string;
  stage(): Stage;
  hooks(boot: () => BootState): UpdateHooks;
  publish(revision: string, progress: StepProgress): void;
  /** The containers of all revisions that may run from now on, and the plans of those that can be read. */
  onKnown(containers: ReadonlySet<string>, plans: readonly ContainerPlan[]): void;
}

export interface RunHow {
  /** Never becomes the rollback point. */
  readonly once: boolean;
  /** By a reboot in any case, so that it becomes the rollback point at once. */
  readonly commit: boolean;
}

export interface Updates {
  /** Whether it must be known before `decide` if anything runs since before. */
  leavesDoubt(state: BootState): boolean;
  /** What this start runs, once it is written down. Never rejects. */
  decide(state: BootState, alive: boolean): Promise<Candidate>;
  /** Takes it from where it stands, and goes on with what was under way. Never rejects. */
  settle(): Promise<void>;
  /** Before somebody is told that it will be run: whoever starts next knows of it. Never rejects. */
  ask(revision: string, how: RunHow): Promise<void>;
  /** Resolves when it runs and is tried, the reboot for it is asked for, or it was given up. Never rejects. */
  run(revision: string, how: RunHow): Promise<void>;
  /** Checks it and leaves it at that. */
  apply(revision: string): Promise<void>;
  /** A trial is under way, or a reboot for one. */
  readonly busy: string | undefined;
  /** Whether a container that gives up is the trial's to judge. */
  readonly trying: boolean;
  usedFor(revision: string): string | undefined;
  /** Revisions that may be booted. Throws where that is not known. */
  needed(): ReadonlySet<string>;
  look(): void;
  missed(group: string, containers: readonly string[]): void;
  /** Nothing new happens; resolves when what was to be written down is. */
  close(): Promise<void>;
}

export function createUpdates(context: UpdateContext): Updates {
  const { clock, tail, store, reboots, life } = context;
  const log: Logger = tail.log;
  const progress = createUpdateProgress({ steps: context.steps, tail, publish: context.publish });
  const { reach, fail } = progress;
  // Before anything is decided it is what nothing may be removed of.
  const bootLog = createBootLog(context.bootStore, context.loaded ?? { revision: '0' }, log);
  const { boot, advance, advanceAnyway } = bootLog;
  const hooks = context.hooks(boot);
  let busy: string | undefined;
  let isClosed = false;
  /** Installed, or begun, right now. */
  let handled: string | undefined;
  let tidied: Promise<void> = Promise.resolve();
  /** Accepted by a service before this one, and not taken up yet. */
  let inherited: BootState['asked'];

  const held = (running: Candidate): Promise<readonly Reservation[]> =>
    reservationsFor(running, boot().revision, store);

  const tellKnown = async (): Promise<void> => {
    const { containers, plans } = await knownOf(context.stage().current, neededBy(boot()), store);
    context.onKnown(containers, plans);
  };

  const trial = createUpdateTrial({
    ...{ clock, log, bootLog, hooks, reach },
    limits: context.limits,
    stage: context.stage,
    async onCommitted(revision) {
      busy = undefined;
      await reach(revision, boot().revision === revision ? 'done' : 'updated');
      await tellKnown();
    },
    onFailed: (revision, stage) => goBack(revision, stage),
  });

  /** From a revision that did not make it. `stood`: it was more than refused, so that what runs is known. */
  const goBack = async (revision: string, stage: FailedStage, stood = true): Promise<void> => {
    trial.end();
    busy = `going back from revision ${revision}`;
    const back = await readCandidate(store, boot().revision);
    log.warn(`revision ${revision} did not make it, going back to ${boot().revision}`);
    const transition: Transition = stood
      ? betweenCandidates(context.stage().current.candidate, back)
      : { kind: 'reboot', reason: 'it was refused' };
    const carried = carriedBy(transition);
    await advanceAnyway({ kind: 'failed', carried });
    const isBack = transition.kind === 'live' && (await returnTo(back, transition));
    if (isBack || isClosed) busy = undefined;
    if (isBack) hooks.look();
    // It was installed: what it is refused for now is why its containers do not run.
    await fail(revision, stage === 'badState' ? 'containerFailed' : stage);
    await tellKnown();
    if (!isBack && !isClosed) await leave('UPDATE_ROLLED_BACK', `back from revision ${revision}`);
  };

  const returnTo = async (back: Candidate, transition: Extract<Transition, { kind: 'live' }>): Promise<boolean> => {
    const problems = [
      ...(await verifyCandidate(store, back)),
      ...(await context.stage().replace(back, transition, [])),
    ];
    for (const { path, message } of problems) log.error(`revision ${back.name}: ${path}: ${message}`);
    return problems.length === 0;
  };

  /** The reboot comes, or what was to come with it does not. */
  const leave = async (code: string, message: string): Promise<boolean> => {
    busy = 'rebooting';
    const comes = await reboots.carryOut(code, message);
    if (!comes) busy = undefined;
    return comes;
  };

  const carriedBy = (transition: Transition): Carried => carriedOver(transition, boot(), context.stage().current.name);

  /** Nothing comes of it, and nothing was touched. Whoever hears of that may ask for the next one, which is not to be dropped with it. */
  const refuse = async (revision: string, stage: FailedStage): Promise<void> => {
    // Who starts after a service that ends goes on with it.
    if (boot().asked !== undefined && !isClosed) await bootLog.advanceAnyway({ kind: 'dropped' });
    busy = undefined;
    await fail(revision, stage);
  };

  const install = async (revision: string): Promise<Candidate | undefined> => {
    tail.restart();
    const installed = await installRevision(store, revision);
    if (installed.ok) return installed.candidate;
    for (const { path, code, message } of installed.problems)
      log.error(`revision ${revision}: ${path}: ${message} (${code})`);
    await refuse(revision, installed.stage);
    return undefined;
  };

  const begin = async (next: Candidate, revision: string, { once, commit: byReboot }: RunHow): Promise<void> => {
    const { candidate: before } = context.stage().current;
    const transition: Transition = byReboot
      ? { kind: 'reboot', reason: 'it is to become the rollback point' }
      : betweenCandidates(before, next);
    busy = `trying revision ${revision}`;
    const way = transition.kind;
    const carried = carriedBy(transition);
    await reach(revision, 'installed');
    if (!(await hooks.install(revision))) return refuse(revision, 'internal');
    await advance({ kind: 'began', revision, way, once, carried, nowMs: clock.elapsedMs() });
    if (transition.kind === 'reboot') {
      log.info(`revision ${revision} needs a reboot: ${transition.reason}`);
      await reach(revision, 'rebooting');
      if ((await leave('UPDATE', `to run revision ${revision}`)) || isClosed) return;
      await advanceAnyway({ kind: 'failed', carried: boot().carried ?? {} });
      return fail(revision, 'internal');
    }
    await reach(revision, 'transitioning');
    const problems = await context.stage().replace(next, transition, await held(next));
    await tellKnown();
    if (problems.length > 0) return goBack(revision, stageOf(problems));
    trial.open();
    hooks.look();
  };

  const whole = async (revision: string, act: () => Promise<void>): Promise<void> => {
    handled = revision;
    busy = `installing revision ${revision}`;
    try {
      await tidied;
      await act();
    } catch (error) {
      log.error(`update to revision ${revision}: ${String(error)}`);
      if (boot().trying?.revision === revision) return goBack(revision, 'internal');
      await refuse(revision, 'internal');
    } finally {
      handled = undefined;
    }
  };

  const run = (revision: string, how: RunHow): Promise<void> =>
    whole(revision, async () => {
      const next = await install(revision);
      if (next !== undefined) await begin(next, revision, how);
    });

  /** Once: what ends this service as well is not to do so for ever. */
  const takeUp = async ({ revision, ...how }: NonNullable<BootState['asked']>): Promise<void> => {
    await bootLog.advanceAnyway({ kind: 'dropped' });
    if (boot().trying !== undefined) return;
    log.info(`revision ${revision} was asked for before this service restarted, and is run now`);
    void run(revision, how);
  };

  return {
    leavesDoubt: (state) =>
      state.life !== life &&
      (state.trying?.started !== undefined || state.updated !== undefined || state.carried !== undefined),
    async decide(state, alive) {
      bootLog.adopt(state);
      const event: BootEvent = { kind: 'booted', life, alive: alive || state.life === life, nowMs: clock.elapsedMs() };
      try {
        const { failed } = await advance(event);
        inherited = boot().asked;
        if (failed !== undefined)
          log.error(`revision ${failed} was not committed before the restart, going back to ${boot().revision}`);
      } catch (error) {
        // To start what is to be tried now would be to try it again and again.
        log.error(`which revision runs cannot be written down, so ${boot().revision} does: ${String(error)}`);
        const { trying: _trying, updated: _updated, ...done } = boot();
        bootLog.adopt(done);
      }
      return readCandidate(store, runningOf(boot()));
    },
    async settle() {
      const { trying } = boot();
      try {
        if (trying?.started !== undefined) {
          busy = `trying revision ${trying.revision}`;
          await reach(trying.revision, 'starting');
        }
        const stage = context.stage();
        const problems = await stage.settle(boot().carried ?? {}, await held(stage.current.candidate), hooks.start);
        stage.current.open();
        if (problems.length > 0 && trying?.started !== undefined)
          return await goBack(trying.revision, stageOf(problems), false);
        const [problem] = problems;
        const cause = problem?.code === 'HOOK_FAILED' ? problem.code : 'REVISION_REFUSED';
        if (problem !== undefined) return reboots.request(cause, problem.message);
        trial.open();
        hooks.look();
        const stands = standsByBoot(boot(), inherited);
        // Containers are on their way; what is written down for people does not hold up whoever waits for them.
        tidied = tellKnown()
          .then(() => progress.tidy(stands))
          .catch((error: unknown) => log.error(`progress of revisions: ${String(error)}`));
        // It was begun before this service restarted.
        if (trying !== undefined && trying.started === undefined)
          await leave('UPDATE', `to run revision ${trying.revision}`);
        if (inherited !== undefined) await takeUp(inherited);
      } catch (error) {
        log.error(`the revision could not be started: ${String(error)}`);
        reboots.request('REVISION_REFUSED', String(error));
      } finally {
        inherited = undefined;
      }
    },
    ask: (revision, { once, commit: byReboot }) =>
      bootLog.advanceAnyway({ kind: 'asked', revision, once, commit: byReboot }),
    run,
    apply: (revision) =>
      whole(revision, async () => {
        if ((await install(revision)) === undefined) return;
        busy = undefined;
        await reach(revision, 'applied');
      }),
    get busy() {
      return busy ?? (inherited === undefined ? undefined : `running revision ${inherited.revision}`);
    },
    get trying() {
      return boot().trying?.started !== undefined;
    },
    usedFor(revision) {
      if (revision === context.stage().current.name) return 'is running';
      if (revision === handled) return 'is being installed';
      return neededBy(boot()).has(revision) ? 'is needed for an update or to go back to' : undefined;
    },
    needed() {
      if (context.loaded === undefined) throw new Error('which revisions are needed is not known: boot/current.json');
      return new Set([...neededBy(boot()), context.stage().current.name, ...(handled === undefined ? [] : [handled])]);
    },
    look() {
      trial.look();
      hooks.look();
    },
    missed: (group, containers) => trial.missed(group, containers),
    async close() {
      isClosed = true;
      const written = bootLog.close();
      trial.close();
      await tidied;
      await Promise.allSettled([written, progress.close()]);
    },
  };
}
