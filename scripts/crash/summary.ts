// What a series of cases comes to: figures beside their goals, and how each failure is made again. Pure.
import { median } from '../bench/row.ts';
import { titleOf } from './case.ts';
import type { Outcome } from './play.ts';

export const GOALS = { healthyMs: 2_000, medianRestartMs: 250 } as const;

export interface Figure {
  readonly median: number;
  readonly p95: number;
  readonly longest: number;
}

export interface Summary {
  readonly seed: number;
  readonly cases: number;
  /** Cases in which somebody was there to be struck. */
  readonly struck: number;
  /** Milliseconds from the last strike until everything was well. */
  readonly healthyMs: Figure;
  /** Cases that were well within GOALS.healthyMs. */
  readonly withinGoal: number;
  /** Milliseconds from a SIGKILL of a service until it was ready; those that end often wait longer, by their restart policy. */
  readonly restartMs: Figure;
  readonly restarts: number;
  readonly requests: number;
  readonly longestAnswerMs: number;
  readonly packets: number;
  readonly failures: readonly { readonly number: number; readonly again: string; readonly what: string }[];
}

export function summaryOf(seed: number, outcomes: readonly Outcome[]): Summary {
  const held = outcomes.filter(({ failure }) => failure === undefined);
  const total = (of: (outcome: Outcome) => number): number => outcomes.reduce((sum, outcome) => sum + of(outcome), 0);
  const restarts = held.flatMap(({ restartsMs }) => restartsMs);
  return {
    seed,
    cases: outcomes.length,
    struck: outcomes.filter(({ struck }) => struck > 0).length,
    healthyMs: figureOf(held.map(({ healthyMs }) => healthyMs)),
    withinGoal: held.filter(({ healthyMs }) => healthyMs <= GOALS.healthyMs).length,
    restartMs: figureOf(restarts),
    restarts: restarts.length,
    requests: total(({ requests }) => requests),
    longestAnswerMs: Math.round(Math.max(0, ...outcomes.map(({ longestAnswerMs }) => longestAnswerMs))),
    packets: total(({ packets }) => packets),
    failures: outcomes.flatMap(({ crash, failure }) =>
      failure === undefined
        ? []
        : [
            {
              number: crash.number,
              again: `npm run crash -- --seed ${seed} --from ${crash.number} --count 1`,
              what: `${titleOf(crash)}\n${failure}`,
            },
          ],
    ),
  };
}

function figureOf(values: readonly number[]): Figure {
  if (values.length === 0) return { median: 0, p95: 0, longest: 0 };
  const sorted = [...values].sort((a, b) => a - b);
  const at = (part: number): number => Math.round(sorted[Math.floor(sorted.length * part)] ?? 0);
  return { median: Math.round(median(values)), p95: at(0.95), longest: Math.round(Math.max(...values)) };
}

export function summaryText(summary: Summary): string {
  const { cases, seed, struck, healthyMs, withinGoal, restartMs, restarts, failures } = summary;
  const figure = (of: Figure): string => `median ${of.median}, 95 % ${of.p95}, longest ${of.longest} ms`;
  return [
    `seed ${seed}: ${cases} cases, ${struck} of them met somebody`,
    `well again: ${figure(healthyMs)}; ${withinGoal} of ${cases} within the goal of ${GOALS.healthyMs} ms`,
    `restart after SIGKILL: ${figure(restartMs)} over ${restarts}; goal: median ≤ ${GOALS.medianRestartMs} ms`,
    `${summary.requests} requests, the longest wait for an answer ${summary.longestAnswerMs} ms; ${summary.packets} packets, none lost where none may be`,
    `${failures.length} failures`,
    ...failures.map(({ again, what }) => `\n${again}\n${what}`),
  ].join('\n');
}
