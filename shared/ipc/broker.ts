// Routes frames between services: reads envelopes only, checks the caller against the contracts, enforces quotas, stamps
// the sender, and answers for receivers that are gone. It holds no state that a restart of a service would miss.
import type { Logger } from '../log/logger.ts';
import { alignedInterval } from './aligned-interval.ts';
import { type BrokerPeer, createPeer } from './broker-peer.ts';
import { decodeMessage } from './codec.ts';
import { type Contract, SERVICE_NAMES, type ServiceName } from './contract.ts';
import { copyFrame, deadlineOf, encodeFrame, type Frame, idOf, KIND, kindOf, restamp, topicOf } from './envelope.ts';
import type { FaultCode } from './fault.ts';
import type { OpenPort } from './port.ts';
import { createRoutingTable, type RequestRoute } from './routing-table.ts';
import { faultFrame, helloPayload } from './wire.ts';

/** Requests from one caller to one receiver that wait or run; the next one is answered OVERLOADED. */
export const MAX_IN_FLIGHT_PER_PAIR = 256;
/** Bytes queued towards one service, or parked for it: requests beyond it are answered OVERLOADED. */
const MAX_REQUEST_QUEUE_BYTES = 1024 * 1024;
/** Bytes queued towards one service at which it is disconnected: it does not read its answers. */
const MAX_QUEUE_BYTES = 8 * 1024 * 1024;
/** How long after its deadline a call is forgotten when neither side spoke of it. */
const EXPIRY_GRACE_MS = 1_000;

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
    if ((peer.port?.queuedBytes ?? 0) > MAX_QUEUE_BYTES) {
      log.error(`${peer.service} does not read its messages, disconnecting it`);
      drop(peer, 'queue full');
    }
  };

  const refuse = (caller: BrokerPeer, frame: Frame, code: FaultCode, detail: string): void =>
    deliver(caller, faultFrame(idOf(frame), topicOf(frame), code, detail));

  const request = (caller: BrokerPeer, frame: Frame): void => {
    const route = table.get(topicOf(frame));
    if (route?.kind !== 'request' || !route.callers.has(caller.service)) {
      log.warn(`denied: ${caller.service} may not call ${route?.name ?? `topic ${topicOf(frame)}`}`);
      refuse(caller, frame, 'DENIED', `${caller.service} may not call this`);
      return;
    }
    forward(caller, route, frame);
  };

  const forward = (caller: BrokerPeer, route: RequestRoute, frame: Frame): void => {
    const receiver = peerNamed(route.receiver);
    // Answers and withdrawals find a call by this number; with two of them one would be forgotten.
    if (caller.findOutgoing(idOf(frame)) !== undefined) {
      log.error(`${caller.service} uses the number ${idOf(frame)} for two requests, disconnecting it`);
      drop(caller, 'request number used twice');
      return;
    }
    const inFlight = receiver.inFlightFrom(caller);
    const queuedBytes = (receiver.port?.queuedBytes ?? 0) + receiver.parkedBytes;
    if (inFlight >= MAX_IN_FLIGHT_PER_PAIR || queuedBytes > MAX_REQUEST_QUEUE_BYTES) {
      refuse(caller, frame, 'OVERLOADED', `${inFlight} requests of ${caller.service} are with ${route.receiver}`);
      return;
    }
    const id = receiver.open({
      caller,
      callerId: idOf(frame),
      topic: topicOf(frame),
      expiresAt: performance.now() + deadlineOf(frame) + EXPIRY_GRACE_MS,
    });
    restamp(frame, id, caller.index);
    if (receiver.ready) deliver(receiver, frame);
    else receiver.parked.set(id, copyFrame(frame));
  };

  const answer = (receiver: BrokerPeer, frame: Frame): void => {
    // What is parked for it was not asked of it yet.
    const call = receiver.parked.has(idOf(frame)) ? undefined : receiver.take(idOf(frame));
    // The caller gave up meanwhile.
    if (call === undefined) return;
    restamp(frame, call.callerId, receiver.index);
    deliver(call.caller, frame);
  };

  const cancel = (caller: BrokerPeer, frame: Frame): void => {
    const found = caller.findOutgoing(idOf(frame));
    if (found === undefined) return;
    withdraw(found.receiver, found.id);
  };

  /** Takes a call back from its receiver, which learns of it if it has it already. */
  const withdraw = (receiver: BrokerPeer, id: number): void => {
    const call = receiver.take(id);
    if (call === undefined) return;
    if (!receiver.parked.delete(id)) deliver(receiver, encodeFrame(KIND.cancel, id, call.topic, 0, undefined));
  };

  const event = (publisher: BrokerPeer, frame: Frame): void => {
    const route = table.get(topicOf(frame));
    if (route?.kind !== 'event' || route.publisher !== publisher.service) {
      log.warn(`denied: ${publisher.service} may not publish ${route?.name ?? `topic ${topicOf(frame)}`}`);
      return;
    }
    restamp(frame, publisher.nextSequence(topicOf(frame)), publisher.index);
    for (const name of route.subscribers) peerNamed(name).offerEvent(frame);
  };

  const hello = (peer: BrokerPeer, frame: Frame): boolean => {
    const parsed = helloPayload.safeParse(decodeMessage(frame)?.value);
    if (kindOf(frame) !== KIND.hello || !parsed.success || parsed.data.contracts !== contractsHash) {
      log.error(`${peer.service} speaks other contracts than this supervisor; install one build of both`);
      drop(peer, 'contracts differ');
      return false;
    }
    peer.greeted = true;
    return true;
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
    if (!peer.greeted) {
      hello(peer, frame);
      return;
    }
    const kind = kindOf(frame);
    if (kind === KIND.request) request(peer, frame);
    else if (kind === KIND.result || kind === KIND.error || kind === KIND.fault) answer(peer, frame);
    else if (kind === KIND.beat) listener.onBeat(peer.service);
    else if (kind === KIND.event) event(peer, frame);
    else if (kind === KIND.cancel) cancel(peer, frame);
    else if (kind === KIND.ready) ready(peer);
    else log.warn(`${peer.service} sent a frame of unknown kind ${kind}`);
  };

  /** Forgets a connection: its callers are told, its own calls are withdrawn. What is parked for it waits for the next one. */
  const drop = (peer: BrokerPeer, reason: string): void => {
    const port = peer.disconnect();
    if (port === undefined) return;
    port.close();
    for (const [id, call] of peer.calls()) {
      if (peer.parked.has(id)) continue;
      peer.take(id);
      deliver(call.caller, faultFrame(call.callerId, call.topic, 'PEER_GONE', `${peer.service} ended`));
    }
    for (const { receiver, id } of peer.outgoing()) withdraw(receiver, id);
    listener.onGone(peer.service, reason);
  };

  const expire = (): void => {
    const now = performance.now();
    for (const receiver of peers.values()) {
      for (const [id, call] of receiver.calls()) {
        if (call.expiresAt > now) continue;
        withdraw(receiver, id);
        deliver(call.caller, faultFrame(call.callerId, call.topic, 'TIMEOUT', 'expired at the broker'));
      }
    }
  };
  const stopExpiring = alignedInterval(EXPIRY_GRACE_MS, expire, true);

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
    queueDepth: (service) => peerNamed(service).size,
    close() {
      stopExpiring();
      for (const peer of peers.values()) drop(peer, '');
    },
  };
}
