// Shares turns of the event loop, and a bounded part of a core, among parties: one step of each after the other.

/** One of those who share: asks for a step, which is run once, in a turn that is not this one. */
export type AskForStep = (step: () => void) => void;

export interface FairTurns {
  party(): AskForStep;
}

export interface TurnLimits {
  /** Steps in one turn of the event loop: what everybody else in it waits for. */
  readonly perTurn: number;
  /** Steps in the long run: a process that is always busy is the last to get a core, also for those who never flood. */
  readonly perSecond: number;
  /** Steps at once after a time without any. */
  readonly burst: number;
}

export interface TurnClock {
  now(): number;
  /** In the next turn of the event loop. */
  next(run: () => void): void;
  after(run: () => void, ms: number): void;
}

const CLOCK: TurnClock = {
  now: () => performance.now(),
  next: (run) => void setImmediate(run),
  after: (run, ms) => void setTimeout(run, ms),
};
/** Milliseconds without steps when all are used up. */
const PAUSE_MS = 2;

/** However many steps are asked for, what else the loop has to do has its turn in between. Who has waited comes before who has just had a step. */
export function createFairTurns({ perTurn, perSecond, burst }: TurnLimits, clock: TurnClock = CLOCK): FairTurns {
  /** Parties that want a step, in the order of their turns, each with what it asked for in its own order. */
  const waiting = new Map<AskForStep, (() => void)[]>();
  let isDue = false;
  let left = burst;
  let refilledAt = clock.now();
  const refill = (): void => {
    const now = clock.now();
    left = Math.min(burst, left + ((now - refilledAt) / 1000) * perSecond);
    refilledAt = now;
  };
  const runTurn = (): void => {
    isDue = false;
    refill();
    for (let inTurn = 0; inTurn < perTurn && left >= 1; inTurn += 1) {
      const first = waiting.entries().next();
      if (first.done) return;
      const [party, steps] = first.value;
      waiting.delete(party);
      const step = steps.shift();
      if (steps.length > 0) waiting.set(party, steps);
      left -= 1;
      step?.();
    }
    schedule();
  };
  const schedule = (): void => {
    if (isDue || waiting.size === 0) return;
    isDue = true;
    if (left >= 1) clock.next(runTurn);
    else clock.after(runTurn, PAUSE_MS);
  };
  return {
    party() {
      const ask: AskForStep = (step) => {
        const steps = waiting.get(ask);
        if (steps === undefined) waiting.set(ask, [step]);
        else steps.push(step);
        schedule();
      };
      return ask;
    },
  };
}
