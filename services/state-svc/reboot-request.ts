// Asks the supervisor for a reboot when nothing here can help any more. Whether it comes is the supervisor's decision: it counts them.
import type { Channel } from '../../shared/ipc/contract.ts';
import type { Logger } from '../../shared/log/logger.ts';
import { supervisorContract } from '../supervisor/contract.ts';

/** Never throws; what comes of it is logged. `code` is what reboots are counted by. */
export type RequestReboot = (code: string, message: string) => void;

export function createRebootRequest(channel: Channel, log: Logger): RequestReboot {
  const supervisor = channel.client(supervisorContract);
  return (code, message) => {
    supervisor.reboot({ code, message }).then(
      (answer) => answer.ok || log.error(`no more reboots for ${code}, staying as it is: ${message}`),
      (error: unknown) => log.error(`reboot for ${code} could not be asked for: ${String(error)}`),
    );
  };
}
