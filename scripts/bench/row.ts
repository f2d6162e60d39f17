// One measured figure of the bench, how figures are summed up, and whether a goal is met.

export interface Row {
  readonly name: string;
  readonly unit: string;
  readonly value: number;
  /** Measured in the same run, so that the ratio holds on a noisy machine. */
  readonly baseline?: { readonly name: string; readonly value: number } | undefined;
  readonly better: 'lower' | 'higher';
  /** Clauses parted by `, `, of the row's value in its unit or of its ratio: `≤ 250 ms`, `≥ 10,000, ratio ≥ 0.5`. */
  readonly goal?: string | undefined;
}

/** A row that cannot be had on this machine, and why. */
export interface MissingRow {
  readonly name: string;
  readonly missing: string;
}

export const ratioOf = ({ value, baseline }: Row): number | undefined =>
  baseline === undefined ? undefined : value / baseline.value;

const CLAUSE = /^(ratio )?([≤≥]) ([\d.,]*\d)( .*)?$/;

/** Undefined where there is no goal. Throws on a goal that is not made of such clauses: it would count as met for ever. */
export function isGoalMet(row: Row): boolean | undefined {
  if (row.goal === undefined) return undefined;
  return row.goal.split(/, (?=ratio|[≤≥])/).every((clause) => {
    const [, ofRatio, sign, bound = ''] = CLAUSE.exec(clause) ?? [];
    if (sign === undefined) throw new Error(`the goal of '${row.name}' cannot be read: '${clause}'`);
    const value = ofRatio === undefined ? row.value : (ratioOf(row) ?? Number.NaN);
    const limit = Number(bound.replaceAll(',', ''));
    return sign === '≤' ? value <= limit : value >= limit;
  });
}

/** The middle one; of an even number the upper of the two. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
