// Auto-recovery as a table: what follows when a container's init ended. No clock, no randomness: the answer carries the delay.
import type { AutoRecovery, ContainerPlan } from '../../shared/revision/revision.ts';
import type { ExitStatus } from '../../shared/schema/exit.ts';

export type Verdict =
  /** It stays STOPPED, and that is as it should be. */
  | { readonly kind: 'stay' }
  /** Start it again after the delay; `retries` is the counter's new value. */
  | { readonly kind: 'retry'; readonly delayMs: number; readonly retries: number }
  /** max_retries are used up; start it again after the delay, with the counter at 0. That start is not one of the retries. */
  | { readonly kind: 'pause'; readonly delayMs: number }
  /** The same, and it stays STOPPED. `reboot`: and its policy asks for one. */
  | { readonly kind: 'exhausted'; readonly reboot: boolean }
  /** Nothing allows it to end, and nobody may start it: it stays STOPPED until a reboot. */
  | { readonly kind: 'down' };

export interface Ending {
  readonly exit: ExitStatus;
  /** Retries since the counter was last reset. */
  readonly retries: number;
  readonly userStopped: boolean;
}

/** Of health, and what reboots for it are counted by. */
export const SYSTEM_CONTAINER_DOWN = 'SYSTEM_CONTAINER_DOWN';

/** Policy `no` is as none: neither starts it again, nor allows it to end. */
export function recovers(plan: AutoRecovery | undefined): plan is AutoRecovery {
  return plan !== undefined && plan.policy !== 'no';
}

/**
 * With restart policy `system` the user can neither stop nor start it, so that `userStopped` is of a revision in which that was
 * otherwise; and how it ended says nothing, as for Pantavisor: without a recovery that allows it, it was to run.
 */
export function recover(
  { autoRecovery: plan, restartPolicy }: Pick<ContainerPlan, 'autoRecovery' | 'restartPolicy'>,
  ending: Ending,
): Verdict {
  const isSystem = restartPolicy === 'system';
  if (!isSystem && ending.userStopped) return { kind: 'stay' };
  if (!recovers(plan)) return { kind: isSystem ? 'down' : 'stay' };
  if (!meant(plan.policy, ending.exit)) return { kind: 'stay' };
  if (plan.maxRetries === 0 || ending.retries < plan.maxRetries) {
    return { kind: 'retry', delayMs: retryDelayMs(plan, ending.retries), retries: ending.retries + 1 };
  }
  if (plan.backoffPolicy === 'never') return { kind: 'exhausted', reboot: false };
  const pauseMs = durationMs(plan.backoffPolicy);
  return pauseMs === undefined ? { kind: 'exhausted', reboot: true } : { kind: 'pause', delayMs: pauseMs };
}

/** Whether the policy covers this end. An end whose status could not be learnt counts as a failure. */
function meant(policy: AutoRecovery['policy'], exit: ExitStatus): boolean {
  switch (policy) {
    case 'no':
      return false;
    case 'on-failure':
      return exit.kind !== 'code' || exit.code !== 0;
    case 'always':
    case 'unless-stopped':
      return true;
  }
}

/** A year: what grows with each retry is to stay a time. */
const MAX_DELAY_MS = 365 * 86_400_000;

/** retry_delay × factor^n, at most a year. */
export function retryDelayMs(plan: AutoRecovery, retries: number): number {
  const delayMs = Math.round(plan.retryDelaySeconds * 1000 * plan.backoffFactor ** retries);
  // 0 s × a factor that has grown to Infinity.
  return Number.isNaN(delayMs) ? 0 : Math.min(delayMs, MAX_DELAY_MS);
}

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  sec: 1000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** `30s`, `10min`, `1h`, at most a year; undefined for anything else, among it `reboot` and `never`. */
export function durationMs(text: string): number | undefined {
  const match = /^(\d+)(ms|s|sec|m|min|h|d)$/.exec(text);
  const unit = UNIT_MS[match?.[2] ?? ''];
  return match === null || unit === undefined ? undefined : Math.min(Number(match[1]) * unit, MAX_DELAY_MS);
}
