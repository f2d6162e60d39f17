// Reboots that services ask for: counted, bounded, told to whoever runs the supervisor.
import type { Logger } from '../../shared/log/logger.ts';
import type { HealthReason } from '../../shared/schema/health.ts';
import { createRebootCount, ownClock, type RebootClock } from './reboot-count.ts';
import { MAX_REBOOTS, type RebootCause, windowOf } from './reboot-policy.ts';

/** `off`: the machine, or the tree, is to be gone and not to come back by itself. */
export interface AskedEnd extends RebootCause {
  readonly off: boolean;
}

export interface Reboots {
  /** Resolves with the first one that is to be carried out. */
  readonly asked: Promise<AskedEnd>;
  /**
   * False when it would be one too many of those that count: everything stays up, and health says why. One that is under way, or an end
   * of the tree, is everybody's who asks meanwhile: two containers that give up together are one reboot.
   */
  ask(cause: RebootCause, counted?: boolean): boolean;
  /** Counts one that comes about without being carried out here; false as with `ask`. */
  count(cause: RebootCause): boolean;
  powerOff(message: string): void;
  /** Also when nobody asked for it here. */
  treeEnds(): void;
  health(): readonly HealthReason[];
}

/** Made when the tree comes up. */
export function createReboots(path: string, log: Logger, clock: RebootClock = ownClock): Reboots {
  const counter = createRebootCount(path, log, clock);
  let onAsked: (end: AskedEnd) => void = () => undefined;
  const asked = new Promise<AskedEnd>((resolve) => {
    onAsked = resolve;
  });
  let isEnding = false;
  let refused: { readonly cause: RebootCause; readonly why: string; readonly atMs: number } | undefined;

  const treeEnds = (): void => {
    isEnding = true;
    counter.close();
  };

  const end = (asked: AskedEnd): void => {
    treeEnds();
    onAsked(asked);
  };

  const refuse = (cause: RebootCause, why: string): false => {
    refused = { cause, why, atMs: clock.elapsedMs() };
    log.error(`not rebooting for ${cause.code}: ${why}`);
    return false;
  };

  const count = (cause: RebootCause): boolean => {
    const counted = counter.add(cause);
    switch (counted.kind) {
      case 'counted':
        return true;
      case 'looped':
        return refuse(cause, `rebooted ${MAX_REBOOTS} times and it did not help`);
      case 'uncounted':
        return refuse(cause, `a reboot for it cannot be counted: ${counted.reason}`);
    }
  };

  return {
    asked,
    count,
    ask(cause, counted = true) {
      if (isEnding) {
        log.info(`nothing more to be done for ${cause.code}, the tree ends: ${cause.message}`);
        return true;
      }
      if (counted && !count(cause)) return false;
      log.warn(`rebooting for ${cause.code}: ${cause.message}`);
      end({ ...cause, off: false });
      return true;
    },
    powerOff(message) {
      log.warn(`powering off: ${message}`);
      end({ code: 'POWEROFF', message, off: true });
    },
    treeEnds,
    health() {
      // By then another reboot would be one of the first again.
      if (refused === undefined || clock.elapsedMs() - refused.atMs >= windowOf(refused.cause.code)) return [];
      const { cause, why } = refused;
      return [
        {
          code: 'REBOOT_LOOP',
          subject: cause.code,
          message: `${why}, staying up; the cause: ${cause.message}`,
        },
      ];
    },
  };
}
