// Reboots, counted: on disk before each comes, and forgotten there once another for the same cause would be the first of a row again.
import { reasonOf } from '../../shared/kernel/system-error.ts';
import type { Logger } from '../../shared/log/logger.ts';
import { decideReboot, REBOOT_WINDOW_MS, type RebootCause, windowOf } from './reboot-policy.ts';
import { readReboots, writeReboots } from './reboot-store.ts';

/** `looped`: it would be one too many. `uncounted`: what is not on disk bounds nothing, so that it must not come, either. */
export type Counted =
  | { readonly kind: 'counted' }
  | { readonly kind: 'looped' }
  | { readonly kind: 'uncounted'; readonly reason: string };

export interface RebootCount {
  add(cause: RebootCause): Counted;
  /** The tree ends: what it has counted is the next one's. */
  close(): void;
}

export interface RebootClock {
  /** Milliseconds since 1970-01-01 UTC, as far as the device knows. */
  nowMs(): number;
  /** Milliseconds of a clock that is never set. */
  elapsedMs(): number;
  /** Runs `run` once after `delayMs`, if the process lives that long. */
  after(delayMs: number, run: () => void): void;
}

export const ownClock: RebootClock = {
  nowMs: () => Date.now(),
  elapsedMs: () => performance.now(),
  after: (delayMs, run) => void setTimeout(run, delayMs).unref(),
};

/** To be made when the tree comes up. */
export function createRebootCount(path: string, log: Logger, clock: RebootClock): RebootCount {
  const startMs = clock.elapsedMs();
  /** Code → when one was counted in this tree. */
  const added = new Map<string, number>();
  const quietMs = (code: string): number => clock.elapsedMs() - (added.get(code) ?? startMs);
  let isClosed = false;

  /** The next tree cannot know how long this one lived. */
  const forget = (): void => {
    if (isClosed) return;
    const past = readReboots(path);
    const left = past.filter(({ code }) => quietMs(code) < windowOf(code));
    const dueMs = left.map(({ code }) => windowOf(code) - quietMs(code));
    try {
      if (left.length < past.length) writeReboots(path, left);
    } catch (error) {
      log.warn(`reboots of long ago are not forgotten yet: ${reasonOf(error)}`);
      dueMs.push(REBOOT_WINDOW_MS);
    }
    if (dueMs.length > 0) clock.after(Math.min(...dueMs), forget);
  };
  clock.after(REBOOT_WINDOW_MS, forget);

  return {
    add(cause) {
      const { code } = cause;
      const times = { nowMs: clock.nowMs(), quietMs: quietMs(code) };
      const { allowed, past } = decideReboot(readReboots(path), cause, times);
      if (!allowed) return { kind: 'looped' };
      try {
        writeReboots(path, past);
      } catch (error) {
        return { kind: 'uncounted', reason: reasonOf(error) };
      }
      added.set(code, clock.elapsedMs());
      // It may not come: a reset by the watchdog is counted while the service that it is for can still come back.
      clock.after(windowOf(code), forget);
      return { kind: 'counted' };
    },
    close() {
      isClosed = true;
    },
  };
}
