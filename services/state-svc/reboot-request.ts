// Asks the supervisor for reboots. Whether one comes is the supervisor's decision: it counts those that nobody asked for.
import type { Channel } from '../../shared/ipc/contract.ts';
import type { Logger } from '../../shared/log/logger.ts';
import { supervisorContract } from '../supervisor/contract.ts';
import { type Clock, sleep } from './clock.ts';

/** What a reboot that nobody asked for is needed for, and how long. */
export interface RebootNeed {
  /** Asked before it is asked for again. */
  holds(): boolean;
  /** It comes, or never will. */
  decided?(): void;
}

/**
 * Never throws; what comes of it is logged. `code` is what reboots are counted by. One that cannot be counted now, as on a full disk, is
 * asked for again while it is needed.
 */
export type RequestReboot = (code: string, message: string, need: RebootNeed) => void;

export interface RebootRequests {
  /** When nothing here can help any more. */
  readonly request: RequestReboot;
  /** Because somebody asked for it, or for what needs it; counted where that has had one already. False: it does not come. */
  carryOut(code: string, message: string, counted?: boolean): Promise<boolean>;
  powerOff(message: string): Promise<boolean>;
}

export interface RebootContext {
  readonly channel: Channel;
  readonly clock: Clock;
  readonly log: Logger;
  /** What is under way may be the remedy, or makes the device go back to where it was: nothing is asked for again meanwhile. */
  isBusy(): boolean;
}

type Answer = 'comes' | 'never' | 'not now';

const ASK_AGAIN_MS = 5000;

export function createRebootRequests({ channel, clock, log, isBusy }: RebootContext): RebootRequests {
  const supervisor = channel.client(supervisorContract);
  /** `isAgain`: what keeps it from coming now was told. */
  const ask = async (code: string, message: string, counted: boolean, isAgain = false): Promise<Answer> => {
    const later = (why: string): Answer => {
      if (!isAgain) log.error(`no reboot for ${code} now, ${why}: ${message}`);
      return 'not now';
    };
    try {
      const answer = await supervisor.reboot({ code, message: message.slice(0, 500), counted });
      if (answer.ok) return 'comes';
      if (answer.error.code === 'REBOOT_UNCOUNTED') return later(`it cannot be counted (${answer.error.reason})`);
      log.error(`no more reboots for ${code}, staying as it is: ${message}`);
      return 'never';
    } catch (error) {
      return later(`it could not be asked for (${String(error)})`);
    }
  };

  const persist = async (code: string, message: string, { holds, decided }: RebootNeed): Promise<void> => {
    for (let isAgain = false; (await ask(code, message, true, isAgain)) === 'not now'; isAgain = true) {
      do {
        await sleep(clock, ASK_AGAIN_MS);
        if (!holds()) return;
      } while (isBusy());
    }
    decided?.();
  };

  return {
    request: (code, message, need) => void persist(code, message, need),
    carryOut: async (code, message, counted = false) => (await ask(code, message, counted)) === 'comes',
    async powerOff(message) {
      try {
        return (await supervisor.powerOff({ message: message.slice(0, 500) })).ok;
      } catch (error) {
        log.error(`poweroff could not be asked for: ${String(error)}`);
        return false;
      }
    },
  };
}
