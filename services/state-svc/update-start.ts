// What a start of this service finds of updates: which revision runs now, what was under way, and what was asked for and not begun.
import type { Problem } from '../../shared/revision/revision.ts';
import type { BootEvent, BootState } from './boot-state.ts';
import { bootStep, heldBack, runningOf } from './boot-state.ts';
import { sleep } from './clock.ts';
import type { FailedStage } from './step-progress.ts';
import type { UpdateBooks, UpdateContext } from './update-books.ts';
import { stageOf } from './update-install.ts';
import { knownByBoot } from './update-progress.ts';
import type { GoBack } from './update-return.ts';
import type { UpdateRun } from './update-run.ts';
import type { UpdateTrial } from './update-trial.ts';
import { type Candidate, readCandidate } from './verify-revision.ts';

export interface UpdateStart {
  /** Whether it must be known before `decide` if anything runs since before. */
  leavesDoubt(state: BootState): boolean;
  /** What this start runs, once it is written down. Never rejects. */
  decide(state: BootState, alive: boolean): Promise<Candidate>;
  /** Takes it from where it stands, and goes on with what was under way. Never rejects. */
  settle(): Promise<void>;
  /** Accepted by a service before this one, and not taken up yet. */
  readonly inherited: string | undefined;
}

/** Of what is tried, by services that end before its containers have had a turn: its time has not begun then, and would never end. */
const MAX_OPENINGS = 10;

const WRITE_AGAIN_MS = 5000;

type Asked = NonNullable<BootState['asked']>;

export function createUpdateStart(
  context: UpdateContext,
  books: UpdateBooks,
  {
    trial,
    goBack,
    way,
  }: { readonly trial: UpdateTrial; readonly goBack: GoBack; readonly way: Pick<UpdateRun, 'run' | 'reboot'> },
): UpdateStart {
  const { clock, store, reboots, life } = context;
  const { log, bootLog, progress, hooks } = books;
  const { boot } = bootLog;
  let inherited: Asked | undefined;
  let isNewLife = false;
  /** What is to be tried by a reboot has had it, and waits for another one. */
  let isHeldBack = false;

  /** Answers what it is refused for. Rejects where something is wrong here. */
  const standsUp = async (): Promise<readonly Problem[]> => {
    const stage = context.stage();
    const held = await books.heldBeside(stage.current.candidate);
    const problems = await stage.settle(boot().carried ?? {}, held, hooks.start);
    stage.current.open();
    return problems;
  };

  /** Containers are on their way; what is written down for people does not hold up whoever waits for them. */
  const tidyUp = (): void => {
    const known = knownByBoot(boot(), inherited);
    books.tidied = books
      .tellKnown()
      .then(() => progress.tidy(known))
      .catch((error: unknown) => log.error(`progress of revisions: ${String(error)}`));
  };

  /** Told before it is forgotten, so that whoever waits for its end hears of it. */
  const giveUp = async (revision: string, why: string): Promise<void> => {
    log.error(`revision ${revision} was asked for before this service restarted, and is not run: ${why}`);
    await progress.fail(revision, 'internal');
    await bootLog.advanceAnyway({ kind: 'dropped', revision });
  };

  /** Once: what ends this service as well is not to do so for ever. `otherwise`: nothing came of it, and nothing else is under way. */
  const takeUp = async ({ revision, takenUp, ...how }: Asked, otherwise = (): void => undefined): Promise<void> => {
    if (takenUp === true) {
      await giveUp(revision, 'state-svc has ended again before it was begun');
      return otherwise();
    }
    const isFree = boot().trying === undefined;
    await bootLog.advanceAnyway({ kind: isFree ? 'takenUp' : 'dropped', revision });
    if (!isFree) return;
    log.info(`revision ${revision} was asked for before this service restarted, and is run now`);
    const { current } = context.stage();
    void way.run(revision, how).then(() => {
      if (context.stage().current === current && books.busy === undefined && !books.isClosed) otherwise();
    });
  };

  /** Once the disk takes it: a start that finds something alive would run what was asked for before, or was to be tried, however much later. */
  const writeLater = async (): Promise<void> => {
    while (bootLog.unwritten() !== undefined) {
      await sleep(clock, WRITE_AGAIN_MS);
      if (books.isClosed) return;
      await bootLog.flush().catch(() => undefined);
    }
  };

  /** As a problem of the revision: it does not run for that, either. */
  const failed = (error: unknown): readonly Problem[] => {
    log.error(`the revision could not be started: ${String(error)}`);
    return [{ path: '', code: 'INTERNAL', message: String(error) }];
  };

  /** While nothing else runs in its place. */
  const reboot = (code: string, message: string): void => {
    const stage = context.stage();
    const { current } = stage;
    reboots.request(code, message, { holds: () => stage.current === current && !books.isClosed });
  };

  /** What follows when what runs does not stand. */
  const fall = async ({ code, message }: Problem, stage: FailedStage, trying: BootState['trying']): Promise<void> => {
    await hooks.refused();
    if (trying?.started !== undefined) return goBack(trying.revision, stage, false);
    const rebootForIt = (): void => reboot(code === 'HOOK_FAILED' ? code : 'REVISION_REFUSED', message);
    if (inherited === undefined || trying !== undefined) return rebootForIt();
    // It may be the remedy, and a reboot would have it forgotten. Past the hooks of a start nothing is started.
    if (code !== 'HOOK_FAILED') return takeUp(inherited, rebootForIt);
    await giveUp(inherited.revision, message);
    rebootForIt();
  };

  return {
    get inherited() {
      return inherited?.revision;
    },
    // What waits for its reboot, too: it must not be tried without one.
    leavesDoubt: ({ life: last, trying, updated, carried, asked }) =>
      last !== life && [trying, updated, carried, asked].some((written) => written !== undefined),
    async decide(state, alive) {
      bootLog.adopt(state);
      isNewLife = state.life !== life;
      const event: BootEvent = { kind: 'booted', life, alive: alive || !isNewLife, nowMs: clock.elapsedMs() };
      const next = bootStep(state, event);
      try {
        await bootLog.advance(event);
      } catch (error) {
        // What runs of it already does so all the same.
        bootLog.adopt(event.alive ? next.state : heldBack(next.state));
        isHeldBack = !event.alive;
        if (isHeldBack) void writeLater();
        const { trying } = boot();
        const waits = isHeldBack && trying !== undefined ? `, and ${trying.revision} waits for the next start` : '';
        log.error(`which revision runs cannot be written down, so ${runningOf(boot())} does${waits}: ${String(error)}`);
      }
      inherited = boot().asked;
      if (next.failed !== undefined)
        log.error(`revision ${next.failed} was not committed before the restart, going back to ${boot().revision}`);
      return readCandidate(store, runningOf(boot()));
    },
    async settle() {
      const { trying, leaving, revision } = boot();
      try {
        // The service that asked for it may have died before it came. A new tree that finds something alive has had it.
        if (leaving === true && (await books.leave('UPDATE_ROLLED_BACK', `back to revision ${revision}`, isNewLife)))
          return;
        if (trying?.started !== undefined) {
          books.busy = `trying revision ${trying.revision}`;
          await progress.reach(trying.revision, 'starting');
          if ((trying.started.opening ?? 0) > MAX_OPENINGS) {
            log.error(
              `revision ${trying.revision}: ${MAX_OPENINGS} starts of state-svc have not come to its containers`,
            );
            return await goBack(trying.revision, 'internal', false);
          }
        }
        const problems = await standsUp().catch(failed);
        const [problem] = problems;
        if (problem !== undefined) return await fall(problem, stageOf(problems), trying);
        trial.open();
        hooks.look();
        tidyUp();
        // It was begun before this service restarted. A new tree that finds something alive may follow a reboot that could not stop that.
        if (trying !== undefined && trying.started === undefined && !isHeldBack)
          await way.reboot(trying.revision, isNewLife);
        if (inherited !== undefined) await takeUp(inherited);
      } catch (error) {
        failed(error);
        reboot('REVISION_REFUSED', String(error));
      } finally {
        inherited = undefined;
      }
    },
  };
}
