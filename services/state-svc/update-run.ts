// The way of one revision that was asked for: checked, written down, and put in the place of what runs, or refused with nothing touched.
import { isFull } from '../../shared/kernel/system-error.ts';
import { problemLines } from './problem-lines.ts';
import type { FailedStage } from './step-progress.ts';
import type { Transition } from './transition.ts';
import type { UpdateBooks, UpdateContext } from './update-books.ts';
import { installRevision, stageOf } from './update-install.ts';
import type { GoBack } from './update-return.ts';
import { betweenCandidates } from './update-transition.ts';
import type { UpdateTrial } from './update-trial.ts';
import type { Candidate } from './verify-revision.ts';

export interface RunHow {
  /** Never becomes the rollback point. */
  readonly once: boolean;
  /** By a reboot in any case, so that it becomes the rollback point at once. */
  readonly commit: boolean;
}

export interface UpdateRun {
  /** Installed, or begun, right now. */
  readonly handled: string | undefined;
  /** Resolves when it runs and is tried, the reboot for it is asked for, or it was given up. Never rejects. */
  run(revision: string, how: RunHow): Promise<void>;
  /** For what waits for its reboot, which is given up where none comes. `isAgain`: another tree has had one for it. Never rejects. */
  reboot(revision: string, isAgain: boolean): Promise<void>;
  /** Checks it and leaves it at that. Never rejects. */
  apply(revision: string): Promise<void>;
}

export function createUpdateRun(
  context: UpdateContext,
  books: UpdateBooks,
  { trial, goBack }: { readonly trial: UpdateTrial; readonly goBack: GoBack },
): UpdateRun {
  const { clock, tail, store } = context;
  const { log, bootLog, progress, hooks } = books;
  const { boot } = bootLog;
  let handled: string | undefined;

  /** Nothing comes of it, and nothing was touched. Whoever hears of that may ask for the next one, or replace this one. */
  const refuse = async (revision: string, stage: FailedStage): Promise<void> => {
    books.busy = undefined;
    handled = undefined;
    books.refused = revision;
    await progress.fail(revision, stage);
    // After it was told: who starts in between tries it once more, and nobody waits for a word that never comes. So does who starts after
    // a service that ends.
    if (!books.isClosed) await bootLog.advanceAnyway({ kind: 'dropped', revision });
    if (books.refused === revision) books.refused = undefined;
  };

  const install = async (revision: string): Promise<Candidate | undefined> => {
    tail.restart();
    const installed = await installRevision(store, revision);
    if (installed.ok) return installed.candidate;
    for (const line of problemLines(installed.problems)) log.error(`revision ${revision}: ${line}`);
    await refuse(revision, installed.stage);
    return undefined;
  };

  const begin = async (next: Candidate, revision: string, { once, commit: byReboot }: RunHow): Promise<void> => {
    const transition: Transition = byReboot
      ? { kind: 'reboot', reason: 'it is to become the rollback point' }
      : betweenCandidates(context.stage().current.candidate, next);
    books.busy = `trying revision ${revision}`;
    const carried = books.carriedBy(transition);
    await progress.reach(revision, 'installed');
    if (!(await hooks.install(revision))) return refuse(revision, 'internal');
    await bootLog.advance({ kind: 'began', revision, way: transition.kind, once, carried, nowMs: clock.elapsedMs() });
    if (transition.kind === 'live') return live(next, revision, transition);
    log.info(`revision ${revision} needs a reboot: ${transition.reason}`);
    await progress.reach(revision, 'rebooting');
    await reboot(revision, false);
  };

  const reboot = async (revision: string, isAgain: boolean): Promise<void> => {
    if ((await books.leave('UPDATE', `to run revision ${revision}`, isAgain)) || books.isClosed) return;
    await bootLog.advanceAnyway({ kind: 'failed', carried: {}, byReboot: false });
    await progress.fail(revision, 'internal');
  };

  const live = async (
    next: Candidate,
    revision: string,
    transition: Extract<Transition, { kind: 'live' }>,
  ): Promise<void> => {
    await progress.reach(revision, 'transitioning');
    const held = await books.heldBeside(next);
    const problems = await context.stage().replace(next, transition, boot().carried ?? {}, held, hooks.start);
    if (books.isClosed) return;
    await books.tellKnown();
    if (problems.length > 0) return goBack(revision, stageOf(problems));
    trial.open();
    hooks.look();
  };

  /** One at a time is handled: whoever asks is told that another one is. */
  const handle = async (revision: string, act: () => Promise<void>): Promise<void> => {
    handled = revision;
    // Of a start that could not try it, perhaps of this one.
    const before = boot().trying;
    books.busy = `installing revision ${revision}`;
    try {
      await books.tidied;
      await act();
    } catch (error) {
      log.error(`update to revision ${revision}: ${String(error)}`);
      if (boot().trying?.revision === revision && boot().trying !== before) return goBack(revision, 'internal');
      await refuse(revision, isFull(error) ? 'noSpace' : 'internal');
    } finally {
      if (handled === revision) handled = undefined;
    }
  };

  return {
    get handled() {
      return handled;
    },
    run: (revision, how) =>
      handle(revision, async () => {
        const next = await install(revision);
        if (next !== undefined) await begin(next, revision, how);
      }),
    reboot,
    apply: (revision) =>
      handle(revision, async () => {
        if ((await install(revision)) === undefined) return;
        books.busy = undefined;
        await progress.reach(revision, 'applied');
      }),
  };
}
