// Whether one service is alive, and how patient to be with it: since when it is ready, when it beat last, how often it was too late
// (heartbeat.ts). A wall clock that is set would turn seconds of health into decades, so none is asked.
import type { Watch } from '../../shared/ipc/contract.ts';
import { isOverdue, isSilent, MAX_DOUBLINGS, patient } from './heartbeat.ts';
import { HEALTHY_AFTER_MS } from './restart-policy.ts';

export interface ServicePulse {
  /** Milliseconds since it was ready; undefined while it is not. */
  readonly upMs: number | undefined;
  /** What its contract allows, or more after it was late. */
  readonly watch: Watch;
  ready(): void;
  /** It is neither ready nor on its way to the end. */
  over(): void;
  beat(): void;
  /** It was too late: the next time it has longer. */
  late(): void;
  /**
   * `nowMs`: of the monotonic clock. `waitedMs`: how long it has waited for a processor so far. That does not count, up to the most patience that
   * there is: on a device whose containers take all it has, a service that is killed for it only has the more to do.
   */
  isSilent(nowMs: number, waitedMs: () => number): boolean;
}

export function createServicePulse(contractWatch: Watch): ServicePulse {
  let readySinceMs: number | undefined;
  let lastBeatMs = 0;
  /** What it had waited for a processor when its beat was first found overdue; undefined: it is not. */
  let overdueWaitedMs: number | undefined;
  let lateInARow = 0;
  const upMs = (): number | undefined => (readySinceMs === undefined ? undefined : performance.now() - readySinceMs);
  const watch = (): Watch => patient(contractWatch, lateInARow);
  return {
    get upMs() {
      return upMs();
    },
    get watch() {
      return watch();
    },
    ready() {
      readySinceMs = performance.now();
    },
    over() {
      readySinceMs = undefined;
    },
    beat() {
      lastBeatMs = performance.now();
      overdueWaitedMs = undefined;
    },
    late() {
      lateInARow = (upMs() ?? 0) >= HEALTHY_AFTER_MS ? 1 : lateInARow + 1;
    },
    isSilent(nowMs, waitedMs) {
      const sinceMs = nowMs - lastBeatMs;
      if (!isOverdue(contractWatch, sinceMs)) return false;
      overdueWaitedMs ??= waitedMs();
      const hadMs = sinceMs - (waitedMs() - overdueWaitedMs);
      return isSilent(watch(), hadMs) || isSilent(patient(contractWatch, MAX_DOUBLINGS), sinceMs);
    },
  };
}
