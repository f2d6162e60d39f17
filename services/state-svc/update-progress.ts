// Tells how far a revision has come: to the log, to its folder, and to subscribers, always in this order.
import { FACTORY } from '../../shared/schema/names.ts';
import type { StepProgress } from '../../shared/schema/steps.ts';
import { type BootState, runningOf } from './boot-state.ts';
import type { LogTail } from './log-tail.ts';
import { type FailedStage, isApplied, type ProgressStage, progressAt } from './step-progress.ts';
import type { StepStore } from './step-store.ts';

export interface UpdateProgress {
  reach(revision: string, stage: ProgressStage): Promise<void>;
  /** With the last words of the log. */
  fail(revision: string, stage: FailedStage): Promise<void>;
  /** What a kill or a cut of the power left in the middle of a word is finished. */
  tidy(known: KnownProgress): Promise<void>;
  /** Nothing more is told; resolves when nothing is being written any more. */
  close(): Promise<void>;
}

/** What is known of revisions from what is booted. */
export interface KnownProgress {
  /** On their way still: they have their own word. */
  readonly coming: ReadonlySet<string>;
  /** Runs, was found stable, and is not the rollback point. */
  readonly updated: string | undefined;
  /** Runs and is the rollback point. */
  readonly done: string | undefined;
}

/** `inherited`: asked of a service before this one, and not taken up yet. */
export function knownByBoot(boot: BootState, inherited: BootState['asked']): KnownProgress {
  const { trying, updated, revision } = boot;
  // The rollback point runs, and nothing is tried.
  const isSettled = runningOf(boot) === revision && trying?.started === undefined;
  return {
    coming: new Set([trying, inherited].flatMap((named) => named?.revision ?? [])),
    updated: updated?.revision,
    done: isSettled ? revision : undefined,
  };
}

export interface ProgressContext {
  readonly steps: StepStore;
  readonly tail: LogTail;
  publish(revision: string, progress: StepProgress): void;
}

export function createUpdateProgress({ steps, tail, publish }: ProgressContext): UpdateProgress {
  const { log } = tail;
  let told: Promise<void> = Promise.resolve();
  let isClosed = false;

  const set = async (revision: string, progress: StepProgress): Promise<void> => {
    log.info(`revision ${revision}: ${progress.status}, ${progress['status-msg']}`);
    // Also on disk in the order in which they come: the last word is the last.
    told = told
      .then(() => (isClosed ? undefined : steps.setProgress(revision, progress)))
      .catch((error: unknown) =>
        log.error(`progress of revision ${revision} cannot be written down: ${String(error)}`),
      );
    await told;
    if (!isClosed) publish(revision, progress);
  };
  const reach = (revision: string, stage: ProgressStage): Promise<void> =>
    set(revision, progressAt(stage === 'done' && revision === FACTORY ? 'factory' : stage));
  const fail = async (revision: string, stage: FailedStage): Promise<void> => {
    const failed = progressAt(stage, tail.text());
    await set(revision, stage === 'noSpace' ? { ...failed, 'status-msg': await steps.shortage(revision) } : failed);
  };

  return {
    reach,
    fail,
    async tidy({ coming, updated, done }) {
      for (const name of await steps.list()) {
        if (isClosed) return;
        if (coming.has(name)) continue;
        const told = await steps.progress(name);
        const { status } = told;
        const isUnderWay = status === 'TESTING' || (status === 'INPROGRESS' && !isApplied(told));
        // It is committed first, and told after that.
        if (name === done) await (status === 'DONE' || reach(name, 'done'));
        else if (name === updated) await (status === 'UPDATED' || isApplied(told) || reach(name, 'updated'));
        else if (isUnderWay) await fail(name, 'rolledBack');
      }
    },
    async close() {
      isClosed = true;
      await told;
    },
  };
}
