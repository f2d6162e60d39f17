// What the broker knows of one service: its port, the calls that are with it, the calls it made, the events it is owed.
import { encodeMessage } from './codec.ts';
import type { ServiceName } from './contract.ts';
import { type Frame, KIND, sizeOf, topicOf } from './envelope.ts';
import { createIdTable } from './id-table.ts';
import type { Port } from './port.ts';

export interface BrokerCall {
  readonly caller: BrokerPeer;
  /** The caller's own number for it. */
  readonly callerId: number;
  readonly topic: number;
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
  readonly parkedBytes: number;
  /** Calls that are with this service or parked for it. */
  readonly size: number;
  inFlightFrom(caller: BrokerPeer): number;
  /** Registers a call to this service; answers the number under which it goes out. */
  open(call: BrokerCall): number;
  /** Forgets a call to this service. */
  take(id: number): BrokerCall | undefined;
  calls(): readonly (readonly [number, BrokerCall])[];
  findOutgoing(callerId: number): Outgoing | undefined;
  outgoing(): readonly Outgoing[];
  /** For the other side of a call, when it opens or ends. */
  noteOutgoing(callerId: number, outgoing: Outgoing | undefined): void;
  nextSequence(topic: number): number;
  offerEvent(frame: Frame): void;
  /** To be called when the port has drained: sends what waits, as far as the port takes it. */
  flushEvents(): void;
  /** Answers the port that was open, already forgotten. */
  disconnect(): Port | undefined;
}

export interface Outgoing {
  readonly receiver: BrokerPeer;
  readonly id: number;
}

/** Bytes in a subscriber's socket queue from which events wait here, where the oldest can be dropped. */
const EVENTS_WAIT_ABOVE_BYTES = 256 * 1024;
/** Events that wait for a slow subscriber; the oldest beyond it are dropped and counted. */
const MAX_WAITING_EVENTS = 256;

export function createPeer(service: ServiceName, index: number): BrokerPeer {
  const incoming = createIdTable<BrokerCall>();
  const outgoing = createIdTable<Outgoing>();
  const inFlight = new Map<BrokerPeer, number>();
  const sequences = new Map<number, number>();
  const lost = new Map<number, number>();
  let waiting: Frame[] = [];
  let lastId = 0;

  const waitWith = (frame: Frame): void => {
    waiting.push(frame);
    if (waiting.length <= MAX_WAITING_EVENTS) return;
    const dropped = waiting.shift();
    if (dropped !== undefined) lost.set(topicOf(dropped), (lost.get(topicOf(dropped)) ?? 0) + 1);
  };
  const isSlow = (): boolean => (peer.port?.queuedBytes ?? 0) > EVENTS_WAIT_ABOVE_BYTES;

  const peer: BrokerPeer = {
    service,
    index,
    port: undefined,
    greeted: false,
    ready: false,
    parked: new Map(),
    get parkedBytes() {
      return [...peer.parked.values()].reduce((sum, frame) => sum + sizeOf(frame), 0);
    },
    get size() {
      return incoming.size;
    },
    inFlightFrom: (caller) => inFlight.get(caller) ?? 0,
    open(call) {
      do lastId = (lastId + 1) >>> 0;
      while (lastId === 0 || incoming.get(lastId) !== undefined);
      incoming.set(lastId, call);
      inFlight.set(call.caller, (inFlight.get(call.caller) ?? 0) + 1);
      call.caller.noteOutgoing(call.callerId, { receiver: peer, id: lastId });
      return lastId;
    },
    take(id) {
      const call = incoming.take(id);
      if (call === undefined) return undefined;
      inFlight.set(call.caller, (inFlight.get(call.caller) ?? 1) - 1);
      call.caller.noteOutgoing(call.callerId, undefined);
      return call;
    },
    calls: () => incoming.entries(),
    findOutgoing: (callerId) => outgoing.get(callerId),
    outgoing: () => outgoing.entries().map(([, entry]) => entry),
    noteOutgoing(callerId, entry) {
      if (entry === undefined) outgoing.take(callerId);
      else outgoing.set(callerId, entry);
    },
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
