// Routes frames between services: reads envelopes only, checks the caller against the contracts, enforces quotas, stamps
// the sender, and answers for receivers that are gone. It holds no state that a restart of a service would miss.
import type { Logger } from '../log/logger.ts';
import { alignedInterval } from './aligned-interval.ts';
import { createBrokerCalls, EXPIRY_GRACE_MS } from './broker-calls.ts';
import { type BrokerPeer, createPeer } from './broker-peer.ts';
import { decodeMessage } from './codec.ts';
import { type Contract, SERVICE_NAMES, type ServiceName } from './contract.ts';
import { type Frame, KIND, kindOf, restamp, topicOf } from './envelope.ts';
import type { OpenPort } from './port.ts';
import { createRoutingTable } from './routing-table.ts';
import { helloPayload } from './wire.ts';

/** Bytes queued towards one service at which it is disconnected: it does not read its answers. */
const MAX_QUEUE_BYTES = 8 * 1024 * 1024;

export interface BrokerListener {
  onReady(service: ServiceName): void;
  onBeat(service: ServiceName): void;
  /** The connection ended; `reason` is empty for an orderly end. */
  onGone(service: ServiceName, reason: string): void;
}

export interface Broker {
  /** Connects a service's port. A second connection of the same service replaces the first. */
  attach(service: ServiceName, open: OpenPort): void;
  /** Ends the connection of a service: what it has in flight is answered PEER_GONE. */
  detach(service: ServiceName): void;
  /** Requests that wait for the service or are with it. */
  queueDepth(service: ServiceName): number;
  close(): void;
}

export interface BrokerOptions {
  readonly contracts: readonly Contract[];
  readonly contractsHash: string;
  readonly log: Logger;
  readonly listener: BrokerListener;
}

export function createBroker({ contracts, contractsHash, log, listener }: BrokerOptions): Broker {
  const table = createRoutingTable(contracts);
  const peers = new Map<ServiceName, BrokerPeer>(SERVICE_NAMES.map((name, index) => [name, createPeer(name, index)]));
  const peerNamed = (service: ServiceName): BrokerPeer => {
    const peer = peers.get(service);
    if (peer === undefined) throw new Error(`no service ${service}`);
    return peer;
  };

  const deliver = (peer: BrokerPeer, frame: Frame): void => {
    peer.port?.send(frame);
    if ((peer.port?.queuedBytes() ?? 0) > MAX_QUEUE_BYTES) {
      log.error(`${peer.service} does not read its messages, disconnecting it`);
      drop(peer, 'queue full');
    }
  };

  /** Forgets a connection. */
  const drop = (peer: BrokerPeer, reason: string): void => {
    const port = peer.disconnect();
    if (port === undefined) return;
    port.close();
    calls.abandon(peer);
    listener.onGone(peer.service, reason);
  };

  const calls = createBrokerCalls({ table, log, peerNamed, deliver, drop });

  const event = (publisher: BrokerPeer, frame: Frame): void => {
    const route = table.get(topicOf(frame));
    if (route?.kind !== 'event' || route.publisher !== publisher.service) {
      log.warn(`denied: ${publisher.service} may not publish ${route?.name ?? `topic ${topicOf(frame)}`}`);
      return;
    }
    restamp(frame, publisher.nextSequence(topicOf(frame)), publisher.index);
    for (const name of route.subscribers) peerNamed(name).offerEvent(frame);
  };

  const hello = (peer: BrokerPeer, frame: Frame): void => {
    const parsed = helloPayload.safeParse(decodeMessage(frame)?.value);
    if (kindOf(frame) !== KIND.hello || !parsed.success || parsed.data.contracts !== contractsHash) {
      log.error(`${peer.service} speaks other contracts than this supervisor; install one build of both`);
      drop(peer, 'contracts differ');
      return;
    }
    peer.greeted = true;
  };

  const ready = (peer: BrokerPeer): void => {
    peer.ready = true;
    for (const [id, frame] of peer.parked) {
      peer.parked.delete(id);
      deliver(peer, frame);
    }
    listener.onReady(peer.service);
  };

  const onFrame = (peer: BrokerPeer, frame: Frame): void => {
    const kind = kindOf(frame);
    if (!peer.greeted) hello(peer, frame);
    else if (kind === KIND.request) calls.request(peer, frame);
    else if (kind === KIND.result || kind === KIND.error || kind === KIND.fault) calls.answer(peer, frame);
    else if (kind === KIND.beat) listener.onBeat(peer.service);
    else if (kind === KIND.event) event(peer, frame);
    else if (kind === KIND.cancel) calls.cancel(peer, frame);
    else if (kind === KIND.ready) ready(peer);
    else log.warn(`${peer.service} sent a frame of unknown kind ${kind}`);
  };

  const stopExpiring = alignedInterval(
    EXPIRY_GRACE_MS,
    () => {
      for (const peer of peers.values()) calls.expire(peer, performance.now());
    },
    { passive: true },
  );

  return {
    attach(service, open) {
      const peer = peerNamed(service);
      drop(peer, 'replaced by a new connection');
      const port = open({
        onFrame: (frame) => {
          if (peer.port === port) onFrame(peer, frame);
        },
        onClose: (reason) => {
          if (peer.port === port) drop(peer, reason);
        },
        onDrain: () => {
          if (peer.port === port) peer.flushEvents();
        },
      });
      peer.port = port;
    },
    detach: (service) => drop(peerNamed(service), ''),
    queueDepth: (service) => peerNamed(service).size(),
    close() {
      stopExpiring();
      for (const peer of peers.values()) drop(peer, '');
    },
  };
}
