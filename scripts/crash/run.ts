// Plays a series of cases on one tree, which is replaced when a case leaves it other than it should be.
import { crashCase } from './case.ts';
import { type Outcome, play } from './play.ts';
import { openStage, type Stage } from './stage.ts';

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
