// A step of a mount, start, stop or unmount that did not work: which one, and why.
import { reasonOf } from '../../shared/kernel/system-error.ts';

/** `reason` is for people. */
export class StepFailure extends Error {
  readonly step: string;
  readonly reason: string;

  constructor(step: string, reason: string) {
    super(`${step}: ${reason}`);
    this.step = step;
    this.reason = reason;
  }
}

export function failingStep<T>(step: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (error instanceof StepFailure) throw error;
    throw new StepFailure(step, reasonOf(error));
  }
}

/** The failure of a step as its error's data; anything else is a bug and goes on up. */
export function stepOf(error: unknown): { step: string; reason: string } {
  if (!(error instanceof StepFailure)) throw error;
  return { step: error.step, reason: error.reason };
}
