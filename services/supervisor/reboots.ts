// Reboots that services ask for: counted, bounded, told to whoever runs the supervisor.
import type { Logger } from '../../shared/log/logger.ts';
import type { HealthReason } from '../../shared/schema/health.ts';
import { decideReboot, MAX_REBOOTS, REBOOT_WINDOW_MS, type RebootCause } from './reboot-policy.ts';
import { readReboots, writeReboots } from './reboot-store.ts';

export interface Reboots {
  /** Resolves with the first one that is to be carried out. */
  readonly asked: Promise<RebootCause>;
  /** False when it would be one too many: everything stays up, and health says why. */
  ask(cause: RebootCause): boolean;
  health(): readonly HealthReason[];
}

export function createReboots(path: string, log: Logger): Reboots {
  let onAsked: (cause: RebootCause) => void = () => undefined;
  const asked = new Promise<RebootCause>((resolve) => {
    onAsked = resolve;
  });
  let refused: RebootCause | undefined;

  const refuse = (cause: RebootCause, why: string): false => {
    refused = cause;
    log.error(`not rebooting for ${cause.code}: ${why}`);
    return false;
  };

  return {
    asked,
    ask(cause) {
      const { allowed, past } = decideReboot(readReboots(path), cause, Date.now());
      if (!allowed) return refuse(cause, `${MAX_REBOOTS} reboots for it in ${REBOOT_WINDOW_MS / 60_000} minutes`);
      try {
        writeReboots(path, past);
      } catch (error) {
        return refuse(cause, `it cannot be counted: ${error instanceof Error ? error.message : String(error)}`);
      }
      log.warn(`rebooting for ${cause.code}: ${cause.message}`);
      onAsked(cause);
      return true;
    },
    health: () =>
      refused === undefined
        ? []
        : [
            {
              code: 'REBOOT_LOOP',
              subject: refused.code,
              message: `rebooted ${MAX_REBOOTS} times and it did not help, staying up; the cause: ${refused.message}`,
            },
          ],
  };
}
