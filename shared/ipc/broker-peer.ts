// What the broker knows of one service: its port, the calls that are with it, the calls it made, the events it is owed.
import { encodeMessage } from './codec.ts';
import { SERVICE_NAMES, type ServiceName } from './contract.ts';
import { copyFrame, type Frame, KIND, sizeOf, topicOf } from './envelope.ts';
import { createIdTable } from './id-table.ts';
import type { Port } from './port.ts';

export interface BrokerCall {
  readonly caller: BrokerPeer;
  /** The caller's own number for it. */
  readonly callerId: number;
  readonly topic: number;
  readonly receiver: BrokerPeer;
  /** Under which it goes out to the receiver. */
  readonly id: number;
  /** Milliseconds as performance.now() counts them: a device without a clock jumps by decades when it learns the time. */
  readonly expiresAt: number;
}

export interface BrokerPeer {
  readonly service: ServiceName;
  readonly index: number;
  port: Port | undefined;
  greeted: boolean;
  ready: boolean;
  /** Requests that arrived while the service was not ready, by id, oldest first. */
  readonly parked: Map<number, Frame>;
  parkedBytes(): number;
  /** Calls that are with this service or parked for it. */
  size(): number;
  inFlightFrom(caller: BrokerPeer): number;
  /** Registers a call to this service, and gives it a number. */
  open(caller: BrokerPeer, callerId: number, topic: number, expiresAt: number): BrokerCall;
  /** Forgets a call to this service. */
  take(id: number): BrokerCall | undefined;
  calls(): readonly BrokerCall[];
  /** A call of this service's, by its own number for it. */
  findOutgoing(callerId: number): BrokerCall | undefined;
  outgoing(): readonly BrokerCall[];
  /** For the other side of a call, when it opens. */
  addOutgoing(call: BrokerCall): void;
  /** … and when it ends. */
  dropOutgoing(callerId: number): void;
  nextSequence(topic: number): number;
  offerEvent(frame: Frame): void;
  /** To be called when the port has drained: sends what waits, as far as the port takes it. */
  flushEvents(): void;
  /** Answers the port that was open, already forgotten. */
  disconnect(): Port | undefined;
}

/** Bytes in a subscriber's socket queue from which events wait here, where the oldest can be dropped. */
const EVENTS_WAIT_ABOVE_BYTES = 256 * 1024;
/** Events that wait for a slow subscriber; the oldest beyond it are dropped and counted. */
const MAX_WAITING_EVENTS = 256;

export function createPeer(service: ServiceName, index: number): BrokerPeer {
  const incoming = createIdTable<BrokerCall>();
  const outgoing = createIdTable<BrokerCall>();
  /** By the caller's index. */
  const inFlight = SERVICE_NAMES.map(() => 0);
  const sequences = new Map<number, number>();
  const lost = new Map<number, number>();
  let waiting: Frame[] = [];
  let lastId = 0;

  const waitWith = (frame: Frame): void => {
    waiting.push(copyFrame(frame));
    if (waiting.length <= MAX_WAITING_EVENTS) return;
    const dropped = waiting.shift();
    if (dropped !== undefined) lost.set(topicOf(dropped), (lost.get(topicOf(dropped)) ?? 0) + 1);
  };
  const isSlow = (): boolean => (peer.port?.queuedBytes() ?? 0) > EVENTS_WAIT_ABOVE_BYTES;

  const peer: BrokerPeer = {
    service,
    index,
    port: undefined,
    greeted: false,
    ready: false,
    parked: new Map(),
    parkedBytes() {
      // Asked for with every request, and there is hardly ever one.
      if (peer.parked.size === 0) return 0;
      return [...peer.parked.values()].reduce((sum, frame) => sum + sizeOf(frame), 0);
    },
    size: () => incoming.size(),
    inFlightFrom: (caller) => inFlight[caller.index] ?? 0,
    open(caller, callerId, topic, expiresAt) {
      do lastId = (lastId + 1) >>> 0;
      while (lastId === 0 || incoming.get(lastId) !== undefined);
      const call = { caller, callerId, topic, receiver: peer, id: lastId, expiresAt };
      incoming.set(lastId, call);
      inFlight[caller.index] = peer.inFlightFrom(caller) + 1;
      caller.addOutgoing(call);
      return call;
    },
    take(id) {
      const call = incoming.take(id);
      if (call === undefined) return undefined;
      inFlight[call.caller.index] = peer.inFlightFrom(call.caller) - 1;
      call.caller.dropOutgoing(call.callerId);
      return call;
    },
    calls: () => incoming.entries().map(([, call]) => call),
    findOutgoing: (callerId) => outgoing.get(callerId),
    outgoing: () => outgoing.entries().map(([, call]) => call),
    addOutgoing: (call) => outgoing.set(call.callerId, call),
    dropOutgoing: (callerId) => void outgoing.take(callerId),
    nextSequence(topic) {
      const next = ((sequences.get(topic) ?? 0) + 1) >>> 0;
      sequences.set(topic, next);
      return next;
    },
    offerEvent(frame) {
      // Who has not said hello yet takes a snapshot when it has.
      if (!peer.greeted) return;
      if (waiting.length > 0 || isSlow()) waitWith(frame);
      else peer.port?.send(frame);
    },
    flushEvents() {
      for (const [topic, count] of lost) {
        peer.port?.send(encodeMessage(KIND.lost, 0, topic, { count }));
      }
      lost.clear();
      // All at once could be more than a queue may hold; the rest goes with the next drain.
      while (waiting.length > 0 && !isSlow()) {
        const frame = waiting.shift();
        if (frame !== undefined) peer.port?.send(frame);
      }
    },
    disconnect() {
      const port = peer.port;
      peer.port = undefined;
      peer.greeted = false;
      peer.ready = false;
      waiting = [];
      lost.clear();
      return port;
    },
  };
  return peer;
}
