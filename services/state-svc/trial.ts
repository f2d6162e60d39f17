// Whether a revision that is being tried holds: every goal met, nobody ended for good, everybody stable, for the commit delay. Pure.
import type { FailedStage } from './step-progress.ts';

export interface TrialContainer {
  readonly name: string;
  readonly goalMet: boolean;
  /** It has lived for its stable_timeout since its goal, or has none. */
  readonly stable: boolean;
  /** Nobody waits for it: the user stopped it, or it ended as its auto-recovery lets it. */
  readonly waived: boolean;
  /** Why it will not come up any more. */
  readonly failure: string | undefined;
}

export interface TrialTimes {
  /** Milliseconds since its containers have their turns. */
  readonly triedMs: number;
  /** Since everything is as it should be; undefined: it was not, when looked at last. */
  readonly heldMs: number | undefined;
}

export interface TrialLimits {
  readonly goalsTimeoutMs: number;
  readonly commitDelayMs: number;
}

export type TrialVerdict =
  | { readonly kind: 'commit' }
  | { readonly kind: 'failed'; readonly stage: FailedStage; readonly reason: string }
  /** `holds`: everything is as it should be, and only time has to pass. `lookAgainMs`: from now, if nothing changes before. */
  | {
      readonly kind: 'wait';
      readonly holds: boolean;
      readonly stage: 'goals' | 'stability' | 'delay';
      readonly lookAgainMs: number | undefined;
    };

export function judgeTrial(
  containers: readonly TrialContainer[],
  { triedMs, heldMs }: TrialTimes,
  { goalsTimeoutMs, commitDelayMs }: TrialLimits,
): TrialVerdict {
  const awaited = containers.filter(({ waived }) => !waived);
  const broken = awaited.find(({ failure }) => failure !== undefined);
  if (broken !== undefined) {
    return { kind: 'failed', stage: 'containerFailed', reason: `container ${broken.name} ${broken.failure}` };
  }
  const unmet = awaited.filter(({ goalMet }) => !goalMet);
  if (unmet.length > 0) {
    const leftMs = goalsTimeoutMs - triedMs;
    if (leftMs > 0) return { kind: 'wait', holds: false, stage: 'goals', lookAgainMs: leftMs };
    return {
      kind: 'failed',
      stage: 'goalMissed',
      reason: `goals not reached by ${unmet.map(({ name }) => name).join(', ')}`,
    };
  }
  if (awaited.some(({ stable }) => !stable)) {
    return { kind: 'wait', holds: false, stage: 'stability', lookAgainMs: undefined };
  }
  const leftMs = commitDelayMs - (heldMs ?? 0);
  return leftMs > 0 ? { kind: 'wait', holds: true, stage: 'delay', lookAgainMs: leftMs } : { kind: 'commit' };
}
