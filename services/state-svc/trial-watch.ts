// Watches the containers of a revision that is being tried until its trial is over.
import type { Clock } from './clock.ts';
import type { Container } from './container.ts';
import { goalMet } from './group-status.ts';
import { recovers } from './recovery.ts';
import type { FailedStage } from './step-progress.ts';
import { judgeTrial, type TrialContainer, type TrialLimits, type TrialVerdict } from './trial.ts';

export interface TrialWatch {
  /** Something changed. */
  look(): void;
  /** A group's time ran out. */
  missed(group: string, containers: readonly string[]): void;
  close(): void;
}

export interface TrialContext {
  readonly clock: Clock;
  readonly limits: TrialLimits;
  /** Of the clock's elapsedMs, as it was written down. */
  readonly sinceMs: number;
  readonly heldSinceMs: number | undefined;
  containers(): readonly Container[];
  /** What it waits for. */
  onStage(stage: Extract<TrialVerdict, { kind: 'wait' }>['stage']): void;
  /** To be written down: it is as it should be since then, or not any more. */
  onHeld(sinceMs: number | undefined): void;
  /** Each of them once, and then no more. */
  onCommit(): void;
  onFailed(stage: FailedStage, reason: string): void;
}

export function watchTrial(context: TrialContext): TrialWatch {
  const { clock, limits, sinceMs } = context;
  let { heldSinceMs } = context;
  let stage: string | undefined;
  let isOver = false;
  let cancel: () => void = () => undefined;

  const end = (tell: () => void): void => {
    if (isOver) return;
    isOver = true;
    cancel();
    tell();
  };

  const look = (): void => {
    if (isOver) return;
    cancel();
    const now = clock.elapsedMs();
    const times = { triedMs: now - sinceMs, heldMs: heldSinceMs === undefined ? undefined : now - heldSinceMs };
    const verdict = judgeTrial(
      context.containers().map((each) => trialContainer(each, sinceMs)),
      times,
      limits,
    );
    if (verdict.kind !== 'wait') {
      end(() => (verdict.kind === 'commit' ? context.onCommit() : context.onFailed(verdict.stage, verdict.reason)));
      return;
    }
    if (verdict.holds !== (heldSinceMs !== undefined)) {
      heldSinceMs = verdict.holds ? now : undefined;
      context.onHeld(heldSinceMs);
    }
    if (verdict.stage !== stage) {
      stage = verdict.stage;
      context.onStage(verdict.stage);
    }
    if (verdict.lookAgainMs !== undefined) cancel = clock.after(verdict.lookAgainMs, look);
  };

  return {
    look,
    missed: (group, names) =>
      end(() => context.onFailed('goalMissed', `group ${group}: goals not met in time by ${names.join(', ')}`)),
    close: () => end(() => undefined),
  };
}

function trialContainer(container: Container, sinceMs: number): TrialContainer {
  const { plan, goal, ended, stable, userStopped, exhausted, problem } = container;
  const isRecovered = recovers(plan.autoRecovery);
  const hasEnded = ended && !userStopped;
  // A clean exit is what some policies let a container end with; without one nobody may.
  const mayEnd = isRecovered && problem === undefined;
  // One that stays, and had none left before, may have what it lacked of what is tried.
  const wornOut = exhausted !== undefined && exhausted.atMs >= sinceMs ? exhausted.message : undefined;
  return {
    name: plan.name,
    goalMet: goalMet(container),
    stable: !isRecovered || goal === 'MOUNTED' || stable,
    waived: userStopped || (hasEnded && mayEnd),
    failure: hasEnded && !mayEnd ? (problem?.message ?? 'its init ended') : wornOut,
  };
}
