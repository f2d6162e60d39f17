// Reboots that services ask for: counted, bounded, told to whoever runs the supervisor.
import type { Logger } from '../../shared/log/logger.ts';
import type { HealthReason } from '../../shared/schema/health.ts';
import { type Counted, createRebootCount, ownClock, type RebootClock } from './reboot-count.ts';
import { MAX_REBOOTS, type RebootCause, windowOf } from './reboot-policy.ts';

/** `off`: the machine, or the tree, is to be gone and not to come back by itself. */
export interface AskedEnd extends RebootCause {
  readonly off: boolean;
}

export interface Reboots {
  /** Resolves with the first one that is to be carried out. */
  readonly asked: Promise<AskedEnd>;
  /**
   * Unless it is counted, which one that needs no counting is as well, everything stays up, and health says why. One that is under way, or an
   * end of the tree, is everybody's who asks meanwhile: two containers that give up together are one reboot.
   */
  ask(cause: RebootCause, counted?: boolean): Counted;
  /** Counts one that comes about without being carried out here. */
  count(cause: RebootCause): Counted;
  powerOff(message: string): void;
  /** Also when nobody asked for it here. */
  treeEnds(): void;
  health(): readonly HealthReason[];
}

interface Refusal {
  readonly cause: RebootCause;
  readonly why: string;
  /** Of the clock's elapsedMs: from then on nobody needs to know. */
  readonly untilMs: number;
}

/** Who still needs one that could not be counted asks again within seconds. */
const UNCOUNTED_MS = 60_000;

const COUNTED: Counted = { kind: 'counted' };

/** Made when the tree comes up. */
export function createReboots(path: string, log: Logger, clock: RebootClock = ownClock): Reboots {
  const counter = createRebootCount(path, log, clock);
  let onAsked: (end: AskedEnd) => void = () => undefined;
  const asked = new Promise<AskedEnd>((resolve) => {
    onAsked = resolve;
  });
  let isEnding = false;
  /** By code. */
  const refusals = new Map<string, Refusal>();
  const lastsStill = ({ untilMs }: Refusal): boolean => clock.elapsedMs() < untilMs;

  const treeEnds = (): void => {
    isEnding = true;
    counter.close();
  };

  const end = (asked: AskedEnd): void => {
    treeEnds();
    onAsked(asked);
  };

  const refuse = (cause: RebootCause, why: string, forMs: number): void => {
    const before = refusals.get(cause.code);
    if (before?.why !== why || !lastsStill(before)) log.error(`not rebooting for ${cause.code}: ${why}`);
    refusals.set(cause.code, { cause, why, untilMs: clock.elapsedMs() + forMs });
  };

  const count = (cause: RebootCause): Counted => {
    const counted = counter.add(cause);
    if (counted.kind === 'counted') refusals.delete(cause.code);
    // By the end of the window another one would be one of the first again.
    if (counted.kind === 'looped')
      refuse(cause, `rebooted ${MAX_REBOOTS} times and it did not help`, windowOf(cause.code));
    if (counted.kind === 'uncounted')
      refuse(cause, `a reboot for it cannot be counted: ${counted.reason}`, UNCOUNTED_MS);
    return counted;
  };

  return {
    asked,
    count,
    ask(cause, isCounted = true) {
      if (isEnding) {
        log.info(`nothing more to be done for ${cause.code}, the tree ends: ${cause.message}`);
        return COUNTED;
      }
      const counted = isCounted ? count(cause) : COUNTED;
      if (counted.kind !== 'counted') return counted;
      log.warn(`rebooting for ${cause.code}: ${cause.message}`);
      end({ ...cause, off: false });
      return counted;
    },
    powerOff(message) {
      log.warn(`powering off: ${message}`);
      end({ code: 'POWEROFF', message, off: true });
    },
    treeEnds,
    health: () =>
      [...refusals.values()].filter(lastsStill).map(({ cause, why }) => ({
        code: 'REBOOT_LOOP',
        subject: cause.code,
        message: `${why}, staying up; the cause: ${cause.message}`,
      })),
  };
}
