// Tells how far a revision has come: to the log, to its folder, and to subscribers, always in this order.
import type { StepProgress } from '../../shared/schema/steps.ts';
import type { LogTail } from './log-tail.ts';
import { type FailedStage, progressAt, type Stage } from './step-progress.ts';
import type { StepStore } from './step-store.ts';

export interface UpdateProgress {
  reach(revision: string, stage: Stage): Promise<void>;
  /** With the last words of the log. */
  fail(revision: string, stage: FailedStage): Promise<void>;
  /** What a cut of the power left in the middle of a word: `tried` is on its way still, `done` runs and is the rollback point. */
  tidy(tried: string | undefined, done: string | undefined): Promise<void>;
  /** Nothing more is told; resolves when nothing is being written any more. */
  close(): Promise<void>;
}

export interface ProgressContext {
  readonly steps: StepStore;
  readonly tail: LogTail;
  publish(revision: string, progress: StepProgress): void;
}

const FACTORY = '0';

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
  const reach = (revision: string, stage: Stage): Promise<void> =>
    set(revision, progressAt(stage === 'done' && revision === FACTORY ? 'factory' : stage));
  const fail = (revision: string, stage: FailedStage): Promise<void> => set(revision, progressAt(stage, tail.text()));

  return {
    reach,
    fail,
    async tidy(tried, done) {
      for (const name of await steps.list()) {
        if (isClosed) return;
        const { status, 'status-msg': message } = await steps.progress(name);
        const isApplied = message === progressAt('applied')['status-msg'];
        const isUnderWay = status === 'TESTING' || (status === 'INPROGRESS' && !isApplied);
        if (isUnderWay && name !== tried) await fail(name, 'rolledBack');
      }
      if (done === undefined || !(await steps.has(done))) return;
      if ((await steps.progress(done)).status !== 'DONE') await reach(done, 'done');
    },
    async close() {
      isClosed = true;
      await told;
    },
  };
}
