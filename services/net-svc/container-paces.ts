// A pace for each container that was repaired of late: who undoes what is repaired of its own network waits for itself alone, and nobody
// waits for it. In: what passes repaired of whom; out: whose turn it is. No clock of its own.
import { afterPass, CALM, CONTESTED_REST_MS, isContested, type Pace, type Pass } from './repair-pace.ts';
import type { Finding, Findings } from './repair-pass.ts';

/** Monotonic milliseconds throughout. */
export interface ContainerPaces {
  /** Whether it is compared now. `isHeard`: there may be something to repair; while the container rests that is put off. */
  takesTurn(container: string, isHeard: boolean, nowMs: number): boolean;
  /** It rests, and is compared when it has. */
  isPutOff(container: string): boolean;
  /** Milliseconds until somebody who was put off is due; -1: nobody was. */
  dueMs(nowMs: number): number;
  /** Answers who is held to fight from now on. What is not attached any more is forgotten. */
  afterPass(pass: Pass, repaired: Findings['repaired'], attached: ReadonlyMap<string, unknown>): Fight[];
  contested(nowMs: number): Fight[];
}

export interface Fight {
  readonly container: string;
  readonly lastRepaired: string;
}

interface Known extends Fight {
  readonly pace: Pace;
  readonly restsUntilMs: number;
  isPutOff: boolean;
}

export function createContainerPaces(): ContainerPaces {
  const known = new Map<string, Known>();
  return {
    takesTurn(container, isHeard, nowMs) {
      const own = known.get(container);
      if (own === undefined) return isHeard;
      const isWanted = isHeard || own.isPutOff;
      own.isPutOff = isWanted && nowMs < own.restsUntilMs;
      return isWanted && !own.isPutOff;
    },
    isPutOff: (container) => known.get(container)?.isPutOff === true,
    dueMs(nowMs) {
      const due = [...known.values()].filter(({ isPutOff }) => isPutOff).map(({ restsUntilMs }) => restsUntilMs);
      return due.length === 0 ? -1 : Math.max(0, Math.ceil(Math.min(...due) - nowMs));
    },
    afterPass(pass, repaired, attached) {
      const steps = byContainer(repaired);
      const began: Fight[] = [];
      for (const container of new Set([...known.keys(), ...steps.keys()])) {
        const before = known.get(container);
        const next = nextOf(container, before, pass, steps.get(container));
        if (isAtPeace(next, pass.endedMs) || !attached.has(container)) known.delete(container);
        else known.set(container, next);
        const wasContested = before !== undefined && isContested(before.pace, pass.startedMs);
        if (!wasContested && isContested(next.pace, pass.endedMs)) began.push(next);
      }
      return began;
    },
    contested: (nowMs) => [...known.values()].filter(({ pace }) => isContested(pace, nowMs)),
  };
}

function byContainer(repaired: readonly Finding<string>[]): Map<string, string[]> {
  const steps = new Map<string, string[]>();
  for (const { container, what } of repaired) {
    if (container !== undefined) steps.set(container, [...(steps.get(container) ?? []), what]);
  }
  return steps;
}

/** Passes that left it alone count as well: the pace is by a clock that stands still during each. */
function nextOf(container: string, before: Known | undefined, pass: Pass, steps: string[] | undefined): Known {
  const { pace, lastRepaired = '', restsUntilMs = 0, isPutOff = false } = before ?? { pace: CALM };
  const next = afterPass(pace, { ...pass, repaired: steps !== undefined, failed: false });
  if (steps === undefined) return { container, pace: next, lastRepaired, restsUntilMs, isPutOff };
  const rest = isContested(next, pass.endedMs) ? CONTESTED_REST_MS : 0;
  return { container, pace: next, lastRepaired: steps.join('; '), restsUntilMs: pass.endedMs + rest, isPutOff };
}

function isAtPeace({ pace, isPutOff }: Known, nowMs: number): boolean {
  return pace.repairsMs.length === 0 && !isPutOff && !isContested(pace, nowMs);
}
