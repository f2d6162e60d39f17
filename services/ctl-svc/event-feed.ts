// Everything that services tell, as one numbered sequence for whoever listens on GET /events.
import type { Channel } from '../../shared/ipc/contract.ts';
import { isoTime } from '../../shared/time/iso-time.ts';
import { ipamContract } from '../ipam-svc/contract.ts';
import { netContract } from '../net-svc/contract.ts';
import { stateContract } from '../state-svc/contract.ts';
import { supervisorContract } from '../supervisor/contract.ts';
import { createEventLog, type EventLog } from './event-log.ts';
import { leaseEvent } from './leases.ts';

export interface EventFeed {
  readonly log: EventLog;
  /** Events told so far, by type. */
  readonly counts: ReadonlyMap<string, number>;
  /** Called when the log has one more. Answers how to stop listening. */
  listen(listener: () => void): () => void;
  /** Called when ctl-svc ends; streams end themselves. */
  onStop(listener: () => void): () => void;
  stop(): void;
}

/** Microseconds since 1970 fit a double for centuries, and nobody sends a million events a second. */
const firstIdOfThisProcess = (): number => Date.now() * 1000;

export function createEventFeed(channel: Channel): EventFeed {
  const log = createEventLog(firstIdOfThisProcess());
  const counts = new Map<string, number>();
  const listeners = new Set<() => void>();
  const stopListeners = new Set<() => void>();
  const tell = (type: string, value: unknown): void => {
    log.append(type, value);
    counts.set(type, (counts.get(type) ?? 0) + 1);
    for (const listener of listeners) listener();
  };
  /** The broker dropped some on their way here: whoever listens must take the lists anew. */
  const onLost = (count: number): void => tell('lost', { count });

  channel.subscribe(stateContract, 'containerChanged', {
    onEvent: ({ container }) => tell('container', container),
    onLost,
  });
  channel.subscribe(stateContract, 'groupChanged', { onEvent: ({ group }) => tell('group', group), onLost });
  channel.subscribe(stateContract, 'revisionChanged', { onEvent: (revision) => tell('revision', revision), onLost });
  channel.subscribe(stateContract, 'metadataChanged', { onEvent: (change) => tell('metadata', change), onLost });
  channel.subscribe(stateContract, 'updateProgressed', { onEvent: (update) => tell('update', update), onLost });
  channel.subscribe(ipamContract, 'leaseAllocated', {
    onEvent: (lease) => tell('lease', leaseEvent('leased', lease)),
    onLost,
  });
  channel.subscribe(ipamContract, 'leaseReleased', {
    onEvent: (lease) => tell('lease', leaseEvent('released', lease)),
    onLost,
  });
  channel.subscribe(netContract, 'networkRepaired', {
    onEvent: ({ what, atMs }) => tell('network', { repaired: what, at: isoTime(atMs) }),
    onLost,
  });
  channel.subscribe(netContract, 'overlapsChanged', {
    onEvent: ({ overlaps, atMs }) => tell('network', { overlaps, at: isoTime(atMs) }),
    onLost,
  });
  channel.subscribe(supervisorContract, 'serviceChanged', {
    onEvent: ({ service, state, reason, atMs }) => tell('service', { name: service, state, reason, at: isoTime(atMs) }),
    onLost,
  });
  const register = <T>(set: Set<T>, entry: T): (() => void) => {
    set.add(entry);
    return () => set.delete(entry);
  };
  return {
    log,
    counts,
    listen(listener) {
      log.keep();
      return register(listeners, listener);
    },
    onStop: (listener) => register(stopListeners, listener),
    stop() {
      for (const listener of stopListeners) listener();
    },
  };
}
