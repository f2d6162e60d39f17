// A soak's report as text and as a picture. Pure.
import { svgOf } from './plot.ts';
import type { SoakReport, Verdict } from './run.ts';

export function reportText({ seed, cycles, updates, rollbacks, seconds, verdicts }: SoakReport): string {
  const leaks = verdicts.filter((verdict) => verdict.leaks);
  const width = Math.max(...verdicts.map(({ name }) => name.length));
  return [
    `seed ${seed}: ${cycles} cycles of 10 containers, ${updates} updates, ${rollbacks} rollbacks, in ${Math.round(seconds)} s`,
    ...verdicts.map(
      (verdict) => `${verdict.leaks ? 'GROWS' : 'flat '} ${verdict.name.padEnd(width)}  ${noteOf(verdict)}`,
    ),
    leaks.length === 0
      ? 'nothing grows'
      : `npm run soak -- --seed ${seed} --cycles ${cycles}: ${leaks.length} figures grow`,
  ].join('\n');
}

export function svgOfReport({ seed, cycles, updates, rollbacks, verdicts }: SoakReport): string {
  const title = `Berth soak, seed ${seed}: ${cycles} cycles of 10 containers, ${updates} updates, ${rollbacks} rollbacks`;
  return svgOf(
    title,
    verdicts.map((verdict) => ({ ...verdict, note: noteOf(verdict) })),
  );
}

function noteOf({ points, slope, atLeast }: Verdict): string {
  const [first, last] = [points[0]?.value ?? 0, points.at(-1)?.value ?? 0];
  const least = Number.isFinite(atLeast) ? `, at least ${Number(atLeast.toFixed(3))}` : '';
  return `${first} → ${last}, ${Number(slope.toFixed(3))} per cycle${least}`;
}
