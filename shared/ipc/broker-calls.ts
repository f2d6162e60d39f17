// The calls on their way through the broker: who may make them, how many, what becomes of them when either side goes or nobody answers.
import type { Logger } from '../log/logger.ts';
import type { BrokerPeer } from './broker-peer.ts';
import type { ServiceName } from './contract.ts';
import { copyFrame, deadlineOf, type Frame, idOf, KIND, restamp, signalFrame, topicOf } from './envelope.ts';
import type { FaultCode } from './fault.ts';
import type { RequestRoute, Route } from './routing-table.ts';
import { faultFrame } from './wire.ts';

/** Requests from one caller to one receiver that wait or run; the next one is answered OVERLOADED. */
export const MAX_IN_FLIGHT_PER_PAIR = 256;
/** Bytes queued towards one service, or parked for it: requests beyond it are answered OVERLOADED. */
const MAX_REQUEST_QUEUE_BYTES = 1024 * 1024;
/** How long after its deadline a call is forgotten when neither side spoke of it. */
export const EXPIRY_GRACE_MS = 1_000;

export interface CallSurroundings {
  readonly table: ReadonlyMap<number, Route>;
  readonly log: Logger;
  peerNamed(service: ServiceName): BrokerPeer;
  deliver(peer: BrokerPeer, frame: Frame): void;
  drop(peer: BrokerPeer, reason: string): void;
}

export interface BrokerCalls {
  request(caller: BrokerPeer, frame: Frame): void;
  answer(receiver: BrokerPeer, frame: Frame): void;
  cancel(caller: BrokerPeer, frame: Frame): void;
  /** Of a service whose connection ended: callers are told, its own calls are withdrawn. What is parked for it waits for the next one. */
  abandon(peer: BrokerPeer): void;
  /** Of calls to this service whose deadline has passed: callers are told, and so is the service. */
  expire(receiver: BrokerPeer, nowMs: number): void;
}

export function createBrokerCalls({ table, log, peerNamed, deliver, drop }: CallSurroundings): BrokerCalls {
  const refuse = (caller: BrokerPeer, frame: Frame, code: FaultCode, detail: string): void =>
    deliver(caller, faultFrame(idOf(frame), topicOf(frame), code, detail));

  const forward = (caller: BrokerPeer, route: RequestRoute, frame: Frame): void => {
    const receiver = peerNamed(route.receiver);
    // Answers and withdrawals find a call by this number; with two of them one would be forgotten.
    if (caller.findOutgoing(idOf(frame)) !== undefined) {
      log.error(`${caller.service} uses the number ${idOf(frame)} for two requests, disconnecting it`);
      drop(caller, 'request number used twice');
      return;
    }
    const inFlight = receiver.inFlightFrom(caller);
    const queuedBytes = (receiver.port?.queuedBytes() ?? 0) + receiver.parkedBytes();
    if (inFlight >= MAX_IN_FLIGHT_PER_PAIR || queuedBytes > MAX_REQUEST_QUEUE_BYTES) {
      refuse(caller, frame, 'OVERLOADED', `${inFlight} requests of ${caller.service} are with ${route.receiver}`);
      return;
    }
    const expiresAt = performance.now() + deadlineOf(frame) + EXPIRY_GRACE_MS;
    const { id } = receiver.open(caller, idOf(frame), topicOf(frame), expiresAt);
    restamp(frame, id, caller.index);
    if (receiver.ready) deliver(receiver, frame);
    else receiver.parked.set(id, copyFrame(frame));
  };

  /** Takes a call back from its receiver, which learns of it if it has it already. */
  const withdraw = (receiver: BrokerPeer, id: number): void => {
    const call = receiver.take(id);
    if (call === undefined) return;
    if (!receiver.parked.delete(id)) deliver(receiver, signalFrame(KIND.cancel, id, call.topic));
  };

  return {
    request(caller, frame) {
      const route = table.get(topicOf(frame));
      if (route?.kind !== 'request' || !route.callers.has(caller.service)) {
        log.warn(`denied: ${caller.service} may not call ${route?.name ?? `topic ${topicOf(frame)}`}`);
        refuse(caller, frame, 'DENIED', `${caller.service} may not call this`);
        return;
      }
      forward(caller, route, frame);
    },
    answer(receiver, frame) {
      // What is parked for it was not asked of it yet.
      const call = receiver.parked.has(idOf(frame)) ? undefined : receiver.take(idOf(frame));
      // The caller gave up meanwhile.
      if (call === undefined) return;
      restamp(frame, call.callerId, receiver.index);
      deliver(call.caller, frame);
    },
    cancel(caller, frame) {
      const found = caller.findOutgoing(idOf(frame));
      if (found !== undefined) withdraw(found.receiver, found.id);
    },
    abandon(peer) {
      for (const call of peer.calls()) {
        if (peer.parked.has(call.id)) continue;
        peer.take(call.id);
        deliver(call.caller, faultFrame(call.callerId, call.topic, 'PEER_GONE', `${peer.service} ended`));
      }
      for (const { receiver, id } of peer.outgoing()) withdraw(receiver, id);
    },
    expire(receiver, nowMs) {
      for (const call of receiver.calls()) {
        if (call.expiresAt > nowMs) continue;
        withdraw(receiver, call.id);
        deliver(call.caller, faultFrame(call.callerId, call.topic, 'TIMEOUT', 'expired at the broker'));
      }
    },
  };
}
