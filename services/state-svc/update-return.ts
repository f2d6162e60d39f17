// The way back from a revision that did not make it to the rollback point: live where that can be, otherwise by a reboot.
import { problemLines } from './problem-lines.ts';
import { SYSTEM_CONTAINER_DOWN } from './recovery.ts';
import type { FailedStage } from './step-progress.ts';
import type { Transition } from './transition.ts';
import type { UpdateBooks, UpdateContext } from './update-books.ts';
import { betweenCandidates } from './update-transition.ts';
import { type Candidate, readCandidate, verifyCandidate } from './verify-revision.ts';

/** `stood`: it was more than refused, so that what runs is known; true where it is not said. */
export type GoBack = (revision: string, stage: FailedStage, stood?: boolean) => Promise<void>;

export function createGoBack(context: UpdateContext, books: UpdateBooks, endTrial: () => void): GoBack {
  const { store } = context;
  const { log, bootLog, progress, hooks } = books;

  const returnTo = async (back: Candidate, transition: Extract<Transition, { kind: 'live' }>): Promise<boolean> => {
    const damaged = await verifyCandidate(store, back);
    const replace = () => context.stage().replace(back, transition, bootLog.boot().carried ?? {}, [], hooks.start);
    // What it is refused for now keeps the next start from running it, too.
    const problems = damaged.length > 0 ? damaged : await replace();
    for (const line of problemLines(problems)) log.error(`revision ${back.name}: ${line}`);
    return problems.length === 0;
  };

  return async (revision, stage, stood = true) => {
    endTrial();
    // The next start goes by what was written down until then.
    if (books.isClosed) return;
    books.busy = `going back from revision ${revision}`;
    const { revision: point } = bootLog.boot();
    const back = await readCandidate(store, point);
    log.warn(`revision ${revision} did not make it, going back to ${point}`);
    const { candidate, containers } = context.stage().current;
    const down = containers.find(({ problem }) => problem?.code === SYSTEM_CONTAINER_DOWN);
    const transition: Transition = !stood
      ? { kind: 'reboot', reason: 'it was refused' }
      : down === undefined
        ? betweenCandidates(candidate, back)
        : { kind: 'reboot', reason: `nothing else starts ${down.plan.name} again` };
    const carried = books.carriedBy(transition);
    await bootLog.advanceAnyway({ kind: 'failed', carried, byReboot: transition.kind === 'reboot' });
    const isBack = transition.kind === 'live' && !books.isClosed && (await returnTo(back, transition));
    if (isBack || books.isClosed) books.busy = undefined;
    if (isBack) hooks.look();
    // It was installed: what it is refused for now is why its containers do not run.
    await progress.fail(revision, stage === 'badState' ? 'containerFailed' : stage);
    // Those of both revisions were not started again.
    if (isBack) for (const container of context.stage().current.containers) container.trialEnded();
    await books.tellKnown();
    if (!isBack && !books.isClosed) await books.leave('UPDATE_ROLLED_BACK', `back from revision ${revision}`);
  };
}
