// Updates from the command to the commit or the rollback, and what a start of this service finds of them. What is decided is pure
// (boot-state.ts, transition.ts, trial.ts); what is done about it is done after it was written down: at a start (update-start.ts), on the way
// to a revision (update-run.ts), while it is tried (update-trial.ts), and on the way back (update-return.ts).
import { neededBy } from './boot-state.ts';
import { openUpdateBooks, type UpdateContext } from './update-books.ts';
import { createGoBack } from './update-return.ts';
import { createUpdateRun, type RunHow, type UpdateRun } from './update-run.ts';
import { createUpdateStart, type UpdateStart } from './update-start.ts';
import { createUpdateTrial, type UpdateTrial } from './update-trial.ts';

export interface Updates
  extends Pick<UpdateStart, 'leavesDoubt' | 'decide' | 'settle'>,
    Pick<UpdateRun, 'run' | 'apply'>,
    Pick<UpdateTrial, 'look' | 'missed'> {
  /** Before somebody is told that it will be run: whoever starts next knows of it. Never rejects. */
  ask(revision: string, how: RunHow): Promise<void>;
  /** What nothing else may be begun beside: a trial, or a reboot for one. */
  readonly busy: string | undefined;
  /** The same, but for what was only asked for. */
  readonly begun: string | undefined;
  /** Whether a container that gives up is the trial's to judge. */
  readonly trying: boolean;
  usedFor(revision: string): string | undefined;
  /** Which one was assumed to have run, and what had been found good or ran last beside it; undefined: nothing was assumed. */
  readonly assumed: { readonly revision: string; readonly beside: readonly string[] } | undefined;
  /** Why which revision runs is not on disk; undefined: it is. */
  readonly unwritten: string | undefined;
  /** Revisions that may be booted, by whom ever. Throws where that is not known. */
  needed(): ReadonlySet<string>;
  /** Nothing new happens; resolves when what was to be written down is. */
  close(): Promise<void>;
}

export function createUpdates(context: UpdateContext): Updates {
  const books = openUpdateBooks(context);
  const { log, bootLog, progress, hooks } = books;
  const { boot } = bootLog;
  const goBack = createGoBack(context, books, () => trial.end());
  const trial = createUpdateTrial({
    clock: context.clock,
    log,
    bootLog,
    hooks,
    reach: progress.reach,
    limits: context.limits,
    stage: context.stage,
    async onCommitted(revision) {
      books.busy = undefined;
      await progress.reach(revision, boot().revision === revision ? 'done' : 'updated');
      for (const container of context.stage().current.containers) container.trialEnded();
      await books.tellKnown();
    },
    onFailed: (revision, stage) => goBack(revision, stage),
  });
  const way = createUpdateRun(context, books, { trial, goBack });
  const start = createUpdateStart(context, books, { trial, goBack, way });
  let kept = '';
  const tellKept = (names: readonly string[]): void => {
    if (names.join() !== kept && names.length > 0)
      log.info(`not needed here, but kept, as the boot loader or Pantavisor may boot it: revision ${names.join(', ')}`);
    kept = names.join();
  };

  return {
    leavesDoubt: start.leavesDoubt,
    decide: start.decide,
    settle: start.settle,
    run: way.run,
    apply: way.apply,
    ask: (revision, { once, commit: byReboot }) =>
      bootLog.advanceAnyway({ kind: 'asked', revision, once, commit: byReboot }),
    get busy() {
      return books.busy ?? (start.inherited === undefined ? undefined : `running revision ${start.inherited}`);
    },
    get begun() {
      return books.busy;
    },
    get trying() {
      return boot().trying?.started !== undefined;
    },
    usedFor(revision) {
      if (revision === context.stage().current.name) return 'is running';
      if (revision === way.handled) return 'is being installed';
      if (revision !== books.refused && neededBy(boot()).has(revision))
        return 'is needed for an update or to go back to';
      return context.bootStore.bootable().has(revision) ? 'is what the boot loader may boot' : undefined;
    },
    get assumed() {
      const { revision, assumedBeside: beside } = boot();
      return beside === undefined ? undefined : { revision, beside };
    },
    get unwritten() {
      return bootLog.unwritten();
    },
    needed() {
      if (boot().assumedBeside !== undefined)
        throw new Error('which revision ran before is not known, see GET /health');
      if (context.loaded === undefined) throw new Error('which revisions are needed is not known: boot/current.json');
      const { current } = context.stage();
      const own = new Set([...neededBy(boot()), current.name, ...(way.handled === undefined ? [] : [way.handled])]);
      const bootable = context.bootStore.bootable();
      tellKept([...bootable].filter((name) => !own.has(name)));
      return new Set([...own, ...bootable]);
    },
    look() {
      trial.look();
      hooks.look();
    },
    missed: trial.missed,
    async close() {
      books.isClosed = true;
      const written = bootLog.close();
      trial.close();
      await books.tidied;
      await Promise.allSettled([written, progress.close()]);
    },
  };
}
