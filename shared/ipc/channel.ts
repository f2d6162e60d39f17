// A service's end of its one connection: typed clients, handlers and events over a port.
import type { Logger } from '../log/logger.ts';
import { alignedInterval } from './aligned-interval.ts';
import { decodeMessage, encodeMessage } from './codec.ts';
import type { CallOptions, Channel, Client, Contract, Handlers, Schema } from './contract.ts';
import {
  type Frame,
  HEADER_BYTES,
  KIND,
  kindOf,
  MAX_FRAME_BYTES,
  MAX_PAYLOAD_BYTES,
  signalFrame,
  sizeOf,
  topicOf,
} from './envelope.ts';
import { createPendingCalls } from './pending-calls.ts';
import type { OpenPort } from './port.ts';
import { createServing, type UntypedHandler } from './serving.ts';
import { shapeProblem } from './shape-problem.ts';
import { topicId } from './topic.ts';
import { lostPayload } from './wire.ts';

interface Subscriber {
  readonly name: string;
  readonly payload: Schema;
  onEvent(payload: unknown): void;
  onLost(count: number): void;
}

export interface ChannelOptions {
  readonly contractsHash: string;
  readonly log: Logger;
  /** Milliseconds between heartbeats once ready; 0: none. */
  readonly beatMs: number;
}

/** Says hello at once. The contracts handed to `client` and `serve` decide what it can ask and must answer. */
export function createChannel(open: OpenPort, options: ChannelOptions): Channel {
  const { log } = options;
  const subscribers = new Map<number, Subscriber[]>();
  let stopBeating: () => void = () => undefined;
  let onClosed: () => void = () => undefined;
  const closed = new Promise<void>((resolve) => {
    onClosed = resolve;
  });

  const onEvent = (frame: Frame): void => {
    const [first, ...others] = subscribers.get(topicOf(frame)) ?? [];
    if (first === undefined) return;
    const parsed = first.payload.safeParse(decodeMessage(frame)?.value);
    if (!parsed.success) log.warn(`unreadable event ${first.name}: ${shapeProblem(parsed.error)}`);
    else for (const subscriber of [first, ...others]) subscriber.onEvent(parsed.data);
  };
  const onLost = (frame: Frame): void => {
    const lost = lostPayload.safeParse(decodeMessage(frame)?.value);
    const count = lost.success ? lost.data.count : 1;
    for (const subscriber of subscribers.get(topicOf(frame)) ?? []) subscriber.onLost(count);
  };

  const port = open({
    onFrame(frame) {
      const kind = kindOf(frame);
      if (kind === KIND.request) serving.request(frame);
      else if (kind === KIND.result || kind === KIND.error || kind === KIND.fault) calls.settle(frame);
      else if (kind === KIND.event) onEvent(frame);
      else if (kind === KIND.cancel) serving.cancel(frame);
      else if (kind === KIND.lost) onLost(frame);
      else log.warn(`frame of unknown kind ${kind}`);
    },
    onClose() {
      stopBeating();
      calls.abandon();
      serving.abandon();
      onClosed();
    },
    onDrain: () => undefined,
  });
  const send = (frame: Frame): void => port.send(frame);
  const calls = createPendingCalls(send);
  const serving = createServing(send, log);
  send(encodeMessage(KIND.hello, 0, 0, { contracts: options.contractsHash }));

  return {
    client<C extends Contract>(contract: C): Client<C> {
      const client: Record<string, (params: unknown, options?: CallOptions) => Promise<unknown>> = {};
      for (const [request, spec] of Object.entries(contract.requests)) {
        const topic = topicId(contract.service, request);
        const name = `${contract.service}.${request}`;
        client[request] = (params, callOptions) => calls.call(topic, name, spec, params, callOptions);
      }
      // The one place where the untyped wire becomes the contract's types: every member parsed by the schema they come from.
      return client as Client<C>;
    },
    serve<C extends Contract>(contract: C, handlers: Handlers<C>) {
      // A handler takes what its own schema made of the params; `serving` calls it with nothing else.
      serving.add(contract, handlers as unknown as Readonly<Record<string, UntypedHandler>>);
    },
    publish(contract, name, payload) {
      const frame = encodeMessage(KIND.event, 0, topicId(contract.service, name), payload);
      // The broker would take a frame of that size for a broken stream.
      if (sizeOf(frame) > MAX_FRAME_BYTES) {
        log.error(
          `event ${contract.service}.${name} has ${sizeOf(frame) - HEADER_BYTES} bytes, at most ${MAX_PAYLOAD_BYTES} fit a message`,
        );
        return;
      }
      send(frame);
    },
    subscribe(contract, name, subscription) {
      const spec = contract.events[name];
      if (spec === undefined) throw new Error(`${contract.service} has no event ${name}`);
      const subscriber: Subscriber = {
        name: `${contract.service}.${name}`,
        payload: spec.payload,
        // As above: parsed by the very schema that the subscription's type comes from.
        onEvent: subscription.onEvent as (payload: unknown) => void,
        onLost: subscription.onLost,
      };
      const topic = topicId(contract.service, name);
      subscribers.set(topic, [...(subscribers.get(topic) ?? []), subscriber]);
    },
    ready() {
      send(signalFrame(KIND.ready));
      if (options.beatMs === 0) return;
      stopBeating = alignedInterval(options.beatMs, () => send(signalFrame(KIND.beat)));
    },
    closed,
    close: () => port.close(),
  };
}
