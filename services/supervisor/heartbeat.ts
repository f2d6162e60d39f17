// Whether a service that should beat still does. Pure; the supervisor's tick feeds it.
import type { Watch } from '../../shared/ipc/contract.ts';

/** A beat may be this much late, as a part of its interval, before it counts as missed. */
const LATENESS = 0.5;

/** How often patience doubles: a device that is 16 times slower than ours still starts. */
export const MAX_DOUBLINGS = 4;

/** What a service may take that was killed for being late so many times in a row: one that is slow must not be killed for ever. */
export function patient(watch: Watch, lateInARow: number): Watch {
  const factor = 2 ** Math.min(lateInARow, MAX_DOUBLINGS);
  return { ...watch, readyMs: watch.readyMs * factor, missedBeats: watch.missedBeats * factor };
}

/** Whether one beat is, so that it is worth looking why. */
export function isOverdue(watch: Watch, sinceLastBeatMs: number): boolean {
  return sinceLastBeatMs / watch.beatMs - LATENESS >= 1;
}

/** Whether more beats are overdue than the contract allows. */
export function isSilent(watch: Watch, sinceLastBeatMs: number): boolean {
  return sinceLastBeatMs / watch.beatMs - LATENESS >= watch.missedBeats;
}
