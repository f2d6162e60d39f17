// Plays a series of cases on one tree, which is replaced when a case leaves it other than it should be.
import assert from 'node:assert/strict';
import { descriptorsOf, type Inventory, inventoryOf } from '../sandbox/inventory.ts';
import { complaintAbout } from './asking.ts';
import { type CrashCase, crashCase, PHASES, type Phase } from './case.ts';
import { RULES, tidy } from './phases.ts';
import { play } from './play.ts';
import { openWorld, type World } from './world.ts';

export interface Outcome {
  readonly crash: CrashCase;
  /** From the last strike until everything is well. */
  readonly healthyMs: number;
  /** From a SIGKILL of a service until it is ready again, where the supervisor was left alone. */
  readonly restartsMs: readonly number[];
  /** Requests that were made meanwhile, and the longest that one waited. */
  readonly requests: number;
  readonly longestAnswerMs: number;
  readonly packets: number;
  /** All of the case. */
  readonly tookMs: number;
  /** Processes that were there to be struck. */
  readonly struck: number;
  readonly failure: string | undefined;
}

export interface SeriesOptions {
  readonly seed: number;
  readonly from: number;
  readonly count: number;
  /** The series ends with so many. */
  readonly maxFailures?: number;
  /** No further case is begun after it. */
  readonly budgetMs?: number;
  readonly onOutcome?: (outcome: Outcome) => void;
}

/** A tree on which every phase was played once with nobody struck. */
export interface Stage {
  readonly world: World;
  readonly inventory: Inventory;
  readonly descriptors: ReadonlyMap<string, number>;
  /** What each phase took. */
  readonly takesMs: ReadonlyMap<Phase, number>;
}

const MAX_FAILURES = 10;

export async function series(options: SeriesOptions): Promise<readonly Outcome[]> {
  const { seed, from, count, maxFailures = MAX_FAILURES, budgetMs = Number.POSITIVE_INFINITY, onOutcome } = options;
  const outcomes: Outcome[] = [];
  const began = performance.now();
  let stage: Stage | undefined;
  try {
    for (let number = from; number < from + count && performance.now() - began < budgetMs; number += 1) {
      stage ??= await openStage();
      const outcome = await play(stage, crashCase(seed, number), `case ${seed} ${number}`);
      outcomes.push(outcome);
      onOutcome?.(outcome);
      if (outcome.failure === undefined) continue;
      await stage.world.close();
      stage = undefined;
      if (outcomes.filter(({ failure }) => failure !== undefined).length >= maxFailures) break;
    }
    return outcomes;
  } finally {
    await stage?.world.close();
  }
}

async function openStage(): Promise<Stage> {
  const world = await openWorld();
  try {
    const takesMs = new Map<Phase, number>();
    for (const phase of PHASES) takesMs.set(phase, await rehearse(world, phase));
    return { world, inventory: inventoryOf(world.tree), descriptors: descriptorsOf(world.tree), takesMs };
  } catch (error) {
    const evidence = await world.evidence();
    await world.close();
    throw new Error(`a phase fails where nobody is struck: ${error}\n${evidence}`);
  }
}

/** Resolves with the milliseconds that it takes. */
async function rehearse(world: World, phase: Phase): Promise<number> {
  const { prepare, begin, endsTree, leavesDown } = RULES[phase];
  await prepare?.(world);
  const began = performance.now();
  const act = await begin(world, `calm ${phase}`);
  const asked = await act.over;
  const tookMs = performance.now() - began;
  if (leavesDown) world.start();
  const complaints = asked.flatMap((one) => complaintAbout(one, { ctl: false, tree: endsTree }) ?? []);
  assert.deepEqual(complaints, [], phase);
  await world.settled([]);
  await act.judge?.(true);
  await tidy(world);
  return tookMs;
}
