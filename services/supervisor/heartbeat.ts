// Whether a service that should beat still does. Pure; the supervisor's tick feeds it.
import type { Watch } from '../../shared/ipc/contract.ts';

export type Pulse = 'beating' | 'due' | 'silent';

/** A beat may be this much late, as a part of its interval, before it counts as missed. */
const LATENESS = 0.5;
/** The part of its interval after which the next beat is due: when the supervisor looks, which is a little later than halfway to it. */
const DUE = 0.5;

/** How often patience doubles: a device that is 16 times slower than ours still starts. */
const MAX_DOUBLINGS = 4;

/** What a service may take that was killed for being late so many times in a row: one that is slow must not be killed for ever. */
export function patient(watch: Watch, lateInARow: number): Watch {
  const factor = 2 ** Math.min(lateInARow, MAX_DOUBLINGS);
  return { ...watch, readyMs: watch.readyMs * factor, missedBeats: watch.missedBeats * factor };
}

/**
 * `due`: the next beat is, so that it is worth asking the kernel whether the process was stopped; waiting for beats to be missed would take
 * longer. `silent`: more are overdue than the contract allows.
 */
export function pulseOf(watch: Watch, sinceLastBeatMs: number): Pulse {
  const intervals = sinceLastBeatMs / watch.beatMs;
  if (intervals - LATENESS >= watch.missedBeats) return 'silent';
  return intervals >= DUE ? 'due' : 'beating';
}
