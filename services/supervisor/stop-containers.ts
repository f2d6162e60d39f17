// Has state-svc stop the containers before the tree ends; whoever asked for the end is told why when that cannot be.
import { setTimeout as delay } from 'node:timers/promises';
import type { Channel } from '../../shared/ipc/contract.ts';
import { Fault } from '../../shared/ipc/fault.ts';
import { reasonOf } from '../../shared/kernel/system-error.ts';
import { stateContract } from '../state-svc/contract.ts';
import type { SupervisedService } from './supervised-service.ts';

/** `incomplete`: containers that were to be stopped are there still, or something of them; why has been said. */
export type Ending = 'orderly' | 'incomplete';

/** How often state-svc may die, or need longer than a request may take (60 s), while it stops containers; each time it goes on. */
const STOP_ATTEMPTS = 5;
/** A service that ends at every start is tried every 5 s (restart-policy.ts): one try more, and it may take a second. */
const STATE_BACK_MS = 6_000;
const LOOK_AGAIN_MS = 50;

export async function stopContainers(
  channel: Channel,
  state: SupervisedService,
  say: (line: string) => void,
): Promise<Ending> {
  const refused = (reason: string): Ending => {
    say(`containers could not be stopped: ${reason}; start Berth again to adopt them`);
    return 'incomplete';
  };
  for (let attempt = 1; ; attempt += 1) {
    if (!(await comesUp(state, say))) return refused(`state-svc does not come up (${whyDown(state)})`);
    try {
      const answer = await channel.client(stateContract).stopAll({});
      if (answer.ok) return 'orderly';
      say(`not everything could be stopped: ${answer.error.reasons.join('; ')}`);
      return 'incomplete';
    } catch (error) {
      const goesOn = error instanceof Fault && (error.code === 'PEER_GONE' || error.code === 'TIMEOUT');
      if (goesOn && attempt < STOP_ATTEMPTS) {
        if (error.code === 'TIMEOUT') say('still stopping containers');
        continue;
      }
      return refused(reasonOf(error));
    }
  }
}

/** The request would wait for it as well, but for a minute, and say nothing. */
async function comesUp(service: SupervisedService, say: (line: string) => void): Promise<boolean> {
  const isUp = (): boolean => service.state === 'ready';
  if (isUp()) return true;
  say(`waiting up to ${STATE_BACK_MS / 1000} s for state-svc, which is to stop the containers (${whyDown(service)})`);
  for (let waitedMs = 0; waitedMs < STATE_BACK_MS && !isUp(); waitedMs += LOOK_AGAIN_MS) await delay(LOOK_AGAIN_MS);
  return isUp();
}

function whyDown({ lastExit }: SupervisedService): string {
  if (lastExit === undefined) return 'it is starting';
  const words = lastExit.lastWords.trim().split('\n').at(-1) ?? '';
  return words === '' ? lastExit.reason : `${lastExit.reason}: ${words}`;
}
