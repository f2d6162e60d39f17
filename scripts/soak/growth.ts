// Tells growth that goes on from noise, of a figure that was looked at over many cycles. Pure.
//
// The first part of a run is left out: caches fill, code is compiled. Of the rest, the slope is the median of the slopes between all
// pairs of points (Theil and Sen), which single spikes do not move. A leak is a slope of which even the lower end of the confidence
// interval (Sen 1968, from the variance of Kendall's S) is above what is tolerated. Of each stretch of a long run the least counts:
// what a collector has not collected yet, or a connection that is just open, is nobody's leak. What has stopped growing, and is a multiple of
// what it was, is held to grow as well.

export interface Point {
  readonly cycle: number;
  readonly value: number;
}

export interface GrowthRules {
  /** Per cycle, in the figure's unit; what is slower than this is not held to be a leak. */
  readonly tolerated: number;
  /** Of the run, from its beginning: what is left out. */
  readonly warmPart: number;
  /** Of the rest: with fewer of them nothing is said. */
  readonly minPoints: number;
  /** How many times what it was at first a figure may settle at; without one, at anything. */
  readonly mostOfFirst?: number;
}

export interface Growth {
  /** Per cycle, the middle estimate. */
  readonly slope: number;
  /** Of the slope, with CONFIDENCE; -Infinity when there are too few points to say. */
  readonly atLeast: number;
  readonly leaks: boolean;
}

/** Standard normal quantile of a one-sided 99.9 %: a run looks at some thirty figures, and is to be quiet when nothing leaks. */
const CONFIDENCE = 3.09;
/** Stretches of which the least is taken: enough for the confidence, and as long as that allows. */
const STRETCHES = 20;

export function growthOf(points: readonly Point[], rules: GrowthRules): Growth {
  const { tolerated, warmPart, minPoints, mostOfFirst = Number.POSITIVE_INFINITY } = rules;
  const warm = points.slice(Math.floor(points.length * warmPart));
  const steady = floorsOf(warm);
  const slopes = slopesOf(steady);
  const slope = slopes[Math.floor(slopes.length / 2)] ?? 0;
  if (steady.length < minPoints) return { slope, atLeast: Number.NEGATIVE_INFINITY, leaks: false };
  const atLeast = lowerEnd(slopes, steady.length);
  const [first, last] = [points[0]?.value ?? 0, steady.at(-1)?.value ?? 0];
  return { slope, atLeast, leaks: atLeast > tolerated || last > first * mostOfFirst };
}

/** The least of each stretch, at the place where it was seen. */
function floorsOf(points: readonly Point[]): readonly Point[] {
  if (points.length < 2 * STRETCHES) return points;
  return Array.from({ length: STRETCHES }, (_, index) => {
    const [from, to] = [index, index + 1].map((at) => Math.floor((at * points.length) / STRETCHES));
    return points.slice(from, to).reduce((least, point) => (point.value < least.value ? point : least));
  });
}

/** Between all pairs, ascending. */
function slopesOf(points: readonly Point[]): readonly number[] {
  const slopes = points.flatMap((first, index) =>
    points.slice(index + 1).map((last) => (last.value - first.value) / (last.cycle - first.cycle)),
  );
  return slopes.sort((a, b) => a - b);
}

function lowerEnd(slopes: readonly number[], count: number): number {
  const deviation = Math.sqrt((count * (count - 1) * (2 * count + 5)) / 18);
  const rank = Math.floor((slopes.length - CONFIDENCE * deviation) / 2);
  return slopes[rank] ?? Number.NEGATIVE_INFINITY;
}
