// The name that somebody may have meant with one that there is not. Pure.

/** Up to it, names share little more than a prefix. */
const MIN_LIKENESS = 0.5;

/** Upper and lower case are alike, and words may be missing: PV_POOL is nearest to PV_NETWORK_POOL. Undefined: none is near. */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  const likenesses = known.map((other): [string, number] => [other, likeness(name, other)]);
  const [best] = likenesses.sort(([, a], [, b]) => b - a);
  return best !== undefined && best[1] > MIN_LIKENESS ? best[0] : undefined;
}

/** 0–1: of the pairs of neighbouring letters, those that both have (Dice's coefficient). */
function likeness(one: string, other: string): number {
  const [ours, theirs] = [pairsOf(one), pairsOf(other)];
  const shared = [...ours].filter((pair) => theirs.has(pair)).length;
  return (2 * shared) / Math.max(ours.size + theirs.size, 1);
}

function pairsOf(name: string): ReadonlySet<string> {
  const letters = name.toUpperCase();
  return new Set(Array.from({ length: Math.max(letters.length - 1, 0) }, (_, at) => letters.slice(at, at + 2)));
}
