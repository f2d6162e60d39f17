// A broker and its services in one process: the real codec, table, quotas and faults without sockets. For tests, and for
// trying a service alone.
import { silentLogger } from '../log/logger.ts';
import { type Broker, createBroker } from './broker.ts';
import { createChannel } from './channel.ts';
import type { Channel, Contract, ServiceName } from './contract.ts';
import { memoryPorts } from './memory-port.ts';

export interface MemoryBus {
  readonly broker: Broker;
  /** A new connection of that service; an earlier one ends, as after a restart. */
  connect(service: ServiceName): Channel;
  /** Ends the connection of a service as its death would. */
  kill(service: ServiceName): void;
  close(): void;
}

const HASH = 'memory';

export function createMemoryBus(contracts: readonly Contract[]): MemoryBus {
  const broker = createBroker({
    contracts,
    contractsHash: HASH,
    log: silentLogger,
    listener: { onReady: () => undefined, onBeat: () => undefined, onGone: () => undefined },
  });
  return {
    broker,
    connect(service) {
      const [brokerEnd, serviceEnd] = memoryPorts();
      broker.attach(service, brokerEnd);
      return createChannel(serviceEnd, { contractsHash: HASH, log: silentLogger, beatMs: 0 });
    },
    kill: (service) => broker.detach(service),
    close: () => broker.close(),
  };
}
