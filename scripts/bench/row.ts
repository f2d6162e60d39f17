// One measured figure of the bench, and how figures are summed up.

export interface Row {
  readonly name: string;
  readonly unit: string;
  readonly value: number;
  /** Measured in the same run, so that the ratio holds on a noisy machine. */
  readonly baseline?: { readonly name: string; readonly value: number };
  readonly better: 'lower' | 'higher';
  /** As text, e.g. `≤ 0.25 s`. */
  readonly goal?: string;
}

/** The middle one; of an even number the upper of the two. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
