// Whether the machine is quiet enough for figures: the same piece of work, timed again and again while the bench runs.
import { createHash } from 'node:crypto';
import { median } from './row.ts';

/** The slow tries may be so much slower than the middle one. Above it, times say more about the machine than about Berth. */
const QUIET_SPREAD = 0.25;
const TRIES = 15;
const WORK_BYTES = 4_000_000;

/** Milliseconds of each try; a tenth of a second together. */
export function calibrate(): readonly number[] {
  const work = Buffer.alloc(WORK_BYTES, 'berth');
  return Array.from({ length: TRIES }, () => {
    const start = performance.now();
    createHash('sha1').update(work).digest();
    return performance.now() - start;
  });
}

/** How far the ninth of ten tries is from the middle one, as a part of it; 0 of none. */
export function spreadOf(times: readonly number[]): number {
  if (times.length === 0) return 0;
  const sorted = [...times].sort((a, b) => a - b);
  const slow = sorted[Math.floor(sorted.length * 0.9)] ?? 0;
  return slow / median(sorted) - 1;
}

/** Undefined when it is quiet enough. `load`: runnable processes before the first row. */
export function noiseWarning(spread: number, load: number, processors: number): string | undefined {
  const signs = [
    ...(spread > QUIET_SPREAD ? [`the same work took up to ${Math.round(spread * 100)} % longer than usual`] : []),
    ...(load > processors / 2 ? [`${load.toFixed(1)} processes wanted ${processors} processors before it began`] : []),
  ];
  if (signs.length === 0) return undefined;
  return `This machine is too noisy to tell: ${signs.join('; ')}. Ratios hold better than times; close what else runs and try again.`;
}
