// The trial of what runs, from where it stands to the commit: everything has to hold for its time, and hooks have the last word.
import type { Logger } from '../../shared/log/logger.ts';
import type { BootLog } from './boot-log.ts';
import type { Clock } from './clock.ts';
import type { Stage } from './stage.ts';
import type { FailedStage, ProgressStage } from './step-progress.ts';
import type { TrialLimits } from './trial.ts';
import { type TrialWatch, watchTrial } from './trial-watch.ts';
import type { UpdateHooks } from './update-hooks.ts';

export interface UpdateTrial {
  /** Of what is tried, if that has been started, once its containers have their turns; goes on with the time that it has on disk. */
  open(): void;
  look(): void;
  missed(group: string, containers: readonly string[]): void;
  /** It was given up. */
  end(): void;
  /** Nothing is decided any more. */
  close(): void;
}

export interface UpdateTrialContext {
  readonly clock: Clock;
  readonly limits: TrialLimits;
  readonly log: Logger;
  readonly bootLog: BootLog;
  readonly hooks: Pick<UpdateHooks, 'commit'>;
  stage(): Stage;
  reach(revision: string, stage: ProgressStage): Promise<void>;
  /** It is on disk. */
  onCommitted(revision: string): Promise<void>;
  onFailed(revision: string, stage: FailedStage): Promise<void>;
}

const COMMIT_AGAIN_MS = 5000;

export function createUpdateTrial(context: UpdateTrialContext): UpdateTrial {
  const { clock, limits, log, bootLog, hooks } = context;
  const { boot, advance } = bootLog;
  let watch: TrialWatch | undefined;
  /** Of the hooks, to become the rollback point. */
  let admitted: string | undefined;
  let isClosed = false;

  const end = (): void => {
    watch?.close();
    watch = undefined;
    admitted = undefined;
  };

  const open = (): void => {
    const { trying } = boot();
    if (trying?.started === undefined || isClosed) return;
    const { revision, way, once } = trying;
    const nowMs = clock.elapsedMs();
    const isFirst = trying.started.opening !== undefined;
    // Objects may take longer to be hashed, and hooks to run, than goals may take to be met.
    if (isFirst) void bootLog.advanceAnyway({ kind: 'opened', nowMs });
    const awaiting = way === 'live' || once ? 'awaitingStability' : 'awaitingRollbackPoint';
    watch = watchTrial({
      clock,
      limits,
      sinceMs: isFirst ? nowMs : trying.started.sinceMs,
      heldSinceMs: trying.started.heldSinceMs,
      containers: () => context.stage().current.containers,
      onStage: (stage) => void context.reach(revision, stage === 'stability' ? 'awaitingStable' : awaiting),
      onHeld: (sinceMs) =>
        void advance({ kind: 'held', sinceMs }).catch((error: unknown) =>
          log.warn(`the time of a trial cannot be written down: ${String(error)}`),
        ),
      onCommit: () => void commit(revision),
      onFailed: (stage, reason) => {
        log.error(`revision ${revision}: ${reason}`);
        void context.onFailed(revision, stage);
      },
    });
    watch.look();
  };

  /** Containers that end while hooks have their word are judged after it. */
  const admit = async (revision: string): Promise<void> => {
    const verdict = await hooks.commit();
    // Since when it holds is what the trial goes on with: else all of its time would have to pass once more.
    await bootLog.written();
    if (isClosed) return;
    if (verdict === 'failed') return context.onFailed(revision, 'rolledBack');
    if (verdict === 'unheard') return void clock.after(COMMIT_AGAIN_MS, open);
    admitted = revision;
    open();
  };

  const commit = async (revision: string): Promise<void> => {
    if (isClosed) return;
    const { trying } = boot();
    if (trying?.way === 'reboot' && !trying.once && admitted !== revision) return admit(revision);
    try {
      await advance({ kind: 'committed' });
    } catch (error) {
      log.error(`revision ${revision} cannot be committed, trying again: ${String(error)}`);
      // Watched anew: what ends while the disk takes nothing is not to be committed unseen. What hooks have said holds.
      clock.after(COMMIT_AGAIN_MS, open);
      return;
    }
    end();
    await context.onCommitted(revision);
  };

  return {
    open,
    look: () => watch?.look(),
    missed: (group, containers) => watch?.missed(group, containers),
    end,
    close() {
      isClosed = true;
      watch?.close();
    },
  };
}
