// This run of the bench beside an earlier one: what got slower, what faster, and what cannot be told on such a machine.
import type { Report } from './report.ts';
import type { Row } from './row.ts';
import { columns, figure } from './table.ts';

/** What two runs of the same program may differ by on a quiet machine. */
const QUIET = 0.1;

export type Verdict = 'slower' | 'faster' | 'the same' | 'cannot be told';

export interface Comparison {
  readonly name: string;
  readonly before: number;
  readonly now: number;
  readonly unit: string;
  /** How much worse: 0.2 is a fifth; negative is better. */
  readonly worse: number;
  readonly verdict: Verdict;
}

/**
 * Of rows that both have. Where both have the baseline as well, what counts is the ratio to it: the machine may be another, or as busy as it
 * likes. Without one, a difference below the spread of either run tells nothing.
 */
export function compareReports(before: Report, now: Report): readonly Comparison[] {
  return now.rows.flatMap((row) => {
    const earlier = before.rows.find(({ name, unit }) => name === row.name && unit === row.unit);
    return earlier === undefined ? [] : [compareRows(earlier, row, Math.max(before.spread, now.spread))];
  });
}

function compareRows(before: Row, now: Row, spread: number): Comparison {
  const sameBaseline = before.baseline !== undefined && before.baseline.name === now.baseline?.name;
  const scale = sameBaseline ? (now.baseline?.value ?? 1) / (before.baseline?.value ?? 1) : 1;
  const change = now.value / (before.value * scale) - 1;
  const worse = now.better === 'lower' ? change : 1 / (1 + change) - 1;
  const size = Math.abs(worse);
  const verdict: Verdict =
    size <= QUIET ? 'the same' : !sameBaseline && size <= spread ? 'cannot be told' : worse > 0 ? 'slower' : 'faster';
  return { name: now.name, before: before.value, now: now.value, unit: now.unit, worse, verdict };
}

/** The worst first. */
export function renderComparison(comparisons: readonly Comparison[]): string {
  if (comparisons.length === 0) return 'no row is in both';
  return columns([
    ['row', 'before', 'now', 'worse by', ''],
    ...[...comparisons]
      .sort((a, b) => b.worse - a.worse)
      .map(({ name, before, now, unit, worse, verdict }) => [
        name,
        `${figure(before)} ${unit}`,
        `${figure(now)} ${unit}`,
        `${Math.round(worse * 100)} %`,
        verdict,
      ]),
  ]);
}
