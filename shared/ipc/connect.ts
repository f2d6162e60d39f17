// Opens the connection that a service process inherited from the supervisor.
import type { Logger } from '../log/logger.ts';
import { createChannel } from './channel.ts';
import type { Channel, Contract } from './contract.ts';
import { CONTRACTS_HASH } from './contracts-hash.ts';
import { socketPort } from './socket-port.ts';

/** `fd` is a connected stream socket that nobody else in this process uses. */
export function connectInherited(fd: number, contract: Contract, log: Logger): Channel {
  return createChannel(socketPort(fd), {
    contractsHash: CONTRACTS_HASH,
    log,
    beatMs: contract.watch.beatMs,
  });
}
