// Asks the supervisor for reboots. Whether one comes is the supervisor's decision: it counts those that nobody asked for.
import type { Channel } from '../../shared/ipc/contract.ts';
import type { Logger } from '../../shared/log/logger.ts';
import { supervisorContract } from '../supervisor/contract.ts';

/** Never throws; what comes of it is logged. `code` is what reboots are counted by. */
export type RequestReboot = (code: string, message: string) => void;

export interface Reboots {
  /** When nothing here can help any more. */
  readonly request: RequestReboot;
  /** Because somebody asked for it, or for what needs it; counted where that has had one already. False: it does not come. */
  carryOut(code: string, message: string, counted?: boolean): Promise<boolean>;
  powerOff(message: string): Promise<boolean>;
}

export function createReboots(channel: Channel, log: Logger): Reboots {
  const supervisor = channel.client(supervisorContract);
  const reboot = async (code: string, message: string, counted: boolean): Promise<boolean> => {
    try {
      const answer = await supervisor.reboot({ code, message: message.slice(0, 500), counted });
      if (!answer.ok) log.error(`no more reboots for ${code}, staying as it is: ${message}`);
      return answer.ok;
    } catch (error) {
      log.error(`reboot for ${code} could not be asked for: ${String(error)}`);
      return false;
    }
  };
  return {
    request: (code, message) => void reboot(code, message, true),
    carryOut: (code, message, counted = false) => reboot(code, message, counted),
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
