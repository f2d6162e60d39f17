// Runs a soak: cycles, figures after each, and the verdict over all of them.
import type { Tree } from '../../test/kit/tree.ts';
import { openChurn } from './churn.ts';
import { type Figures, figuresOf, rulesOf } from './figures.ts';
import { type Growth, growthOf, type Point } from './growth.ts';

export interface SoakOptions {
  readonly seed: number;
  readonly cycles: number;
  /** The cycle under way is the last one, and the report is about those that were. */
  readonly signal?: AbortSignal;
  /** After each cycle, before its figures are taken. */
  readonly afterCycle?: (cycle: number, tree: Tree) => void;
}

export interface Verdict extends Growth {
  readonly name: string;
  readonly points: readonly Point[];
}

export interface SoakReport {
  readonly seed: number;
  readonly cycles: number;
  readonly updates: number;
  readonly rollbacks: number;
  readonly seconds: number;
  readonly verdicts: readonly Verdict[];
}

export async function soak({ seed, cycles, signal, afterCycle }: SoakOptions): Promise<SoakReport> {
  const began = performance.now();
  const churn = await openChurn(seed);
  const looks: Figures[] = [];
  let updates = 0;
  let rollbacks = 0;
  try {
    for (let cycle = 0; cycle < cycles && signal?.aborted !== true; cycle += 1) {
      const kind = await churn.cycle(cycle);
      if (kind === 'update') updates += 1;
      if (kind === 'rollback') rollbacks += 1;
      afterCycle?.(cycle, churn.tree);
      looks.push(figuresOf(churn.tree));
    }
  } finally {
    await churn.close();
  }
  const seconds = (performance.now() - began) / 1_000;
  return { seed, cycles: looks.length, updates, rollbacks, seconds, verdicts: verdictsOf(looks) };
}

/** `looks`: one per cycle, in their order. */
export function verdictsOf(looks: readonly Figures[]): readonly Verdict[] {
  const names = new Set(looks.flatMap((figures) => Object.keys(figures)));
  return [...names].sort().map((name) => {
    const points = looks.flatMap((figures, cycle) => {
      const value = figures[name];
      return value === undefined ? [] : [{ cycle, value }];
    });
    return { name, points, ...growthOf(points, rulesOf(name)) };
  });
}
