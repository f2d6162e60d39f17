// The services that state-svc drives, called so that their restarts are a delay and not an error.
import type { Channel, Client } from '../../shared/ipc/contract.ts';
import { Fault } from '../../shared/ipc/fault.ts';
import type { Logger } from '../../shared/log/logger.ts';
import { ipamContract } from '../ipam-svc/contract.ts';
import { logContract } from '../log-svc/contract.ts';
import { lxcContract } from '../lxc-svc/contract.ts';
import { netContract } from '../net-svc/contract.ts';
import { type Clock, sleep } from './clock.ts';

export interface Peers {
  readonly ipam: Client<typeof ipamContract>;
  readonly net: Client<typeof netContract>;
  readonly lxc: Client<typeof lxcContract>;
  readonly log: Client<typeof logContract>;
}

export function connectPeers(channel: Channel): Peers {
  return {
    ipam: channel.client(ipamContract),
    net: channel.client(netContract),
    lxc: channel.client(lxcContract),
    log: channel.client(logContract),
  };
}

/** Milliseconds before attempt 2, 3, …: 10 s in all, which is twice the supervisor's longest backoff. */
const RETRY_DELAYS_MS: readonly number[] = [50, 150, 400, 800, 1600, 3000, 4000];
/** A request that was not answered in its deadline has cost that already (30 s for lxc-svc); one more try must do. */
const MAX_TIMEOUTS = 2;

/** Asks; the same again after a fault that a restart of the receiver explains. Every request that state-svc sends is idempotent. */
export type Ask = <T>(call: () => Promise<T>) => Promise<T>;

/** Rejects with the last Fault when the tries are used up, at once with any other. */
export function createAsk(clock: Clock, log: Logger): Ask {
  return async (call) => {
    let timeouts = 0;
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await call();
      } catch (error) {
        const delayMs = RETRY_DELAYS_MS[attempt];
        if (!(error instanceof Fault) || delayMs === undefined || !isPassing(error)) throw error;
        if (error.code === 'TIMEOUT') timeouts += 1;
        if (timeouts === MAX_TIMEOUTS) throw error;
        log.warn(`${error.topic} was not answered (${error.code}), asking again in ${delayMs} ms`);
        await sleep(clock, delayMs);
      }
    }
  };
}

/**
 * What is asked for containers, of which there are hundreds, under way at a time: stops of 32, each with its unmount. The broker refuses
 * the 257th request to one service, and many at once would keep it from its heartbeats.
 */
export const ASKED_AT_A_TIME = 64;

/** As `ask`, but only so many requests are under way, in the order in which they come. Whoever waits to ask again is in nobody's way. */
export function askInTurns(ask: Ask, limit: number): Ask {
  const waiting: (() => void)[] = [];
  let free = limit;
  const inTurn = async <T>(call: () => Promise<T>): Promise<T> => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await call();
    } finally {
      const next = waiting.shift();
      if (next === undefined) free += 1;
      else next();
    }
  };
  return (call) => ask(() => inTurn(call));
}

/** What a restart of the receiver explains. */
export function isPassing(fault: Fault): boolean {
  return fault.code === 'PEER_GONE' || fault.code === 'TIMEOUT' || fault.code === 'OVERLOADED';
}

/** The same request gets no other answer. */
export function isLasting(fault: Fault): boolean {
  return fault.code === 'BAD_PARAMS' || fault.code === 'BAD_RESULT' || fault.code === 'DENIED';
}
