// What a container earns by living on: the reset of its retry counter, and being called stable.
import type { AutoRecovery } from '../../shared/revision/revision.ts';
import type { Clock } from './clock.ts';

export interface Uptime {
  /** Its init has run for `upMs`; also called again when it is learnt anew. */
  started(upMs: number): void;
  /** Its goal was met `metMs` ago. */
  goalReached(metMs: number): void;
  stop(): void;
}

export interface UptimeListener {
  onReset(): void;
  onStable(): void;
}

/** Without auto-recovery nothing is counted. Stability comes stable_timeout after the goal, the reset reset_window after the start, if there is one. */
export function createUptime(plan: AutoRecovery | undefined, clock: Clock, listener: UptimeListener): Uptime {
  let cancelReset: (() => void) | undefined;
  let cancelStable: (() => void) | undefined;
  return {
    started(upMs) {
      if (plan === undefined || plan.resetWindowSeconds === 0 || cancelReset !== undefined) return;
      cancelReset = clock.after(Math.max(0, plan.resetWindowSeconds * 1000 - upMs), () => listener.onReset());
    },
    goalReached(metMs) {
      if (plan === undefined || cancelStable !== undefined) return;
      cancelStable = clock.after(Math.max(0, plan.stableTimeoutSeconds * 1000 - metMs), () => listener.onStable());
    },
    stop() {
      cancelReset?.();
      cancelStable?.();
      cancelReset = undefined;
      cancelStable = undefined;
    },
  };
}
