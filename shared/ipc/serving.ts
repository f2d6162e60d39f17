// The requests that a service answers: finds the handler, parses the params, runs it, sends what comes of it.
import type { Buffer } from 'node:buffer';
import type { Logger } from '../log/logger.ts';
import { decodePayload, encodePayload } from './codec.ts';
import { type CallContext, type Contract, type RequestSpec, SERVICE_NAMES, type ServiceName } from './contract.ts';
import { encodeFrame, idOf, KIND, MAX_PAYLOAD_BYTES, payloadOf, peerOf, topicOf } from './envelope.ts';
import type { FaultCode } from './fault.ts';
import { createIdTable } from './id-table.ts';
import type { UntypedAnswer } from './pending-calls.ts';
import { topicId } from './topic.ts';
import { faultFrame } from './wire.ts';

export type UntypedHandler = (params: unknown, context: CallContext) => Promise<UntypedAnswer> | UntypedAnswer;

export interface Serving {
  add(contract: Contract, handlers: Readonly<Record<string, UntypedHandler>>): void;
  request(frame: Buffer): void;
  cancel(frame: Buffer): void;
  /** Aborts everything that runs: nobody will hear the answers. */
  abandon(): void;
}

interface Served {
  readonly name: string;
  readonly spec: RequestSpec;
  readonly handler: UntypedHandler;
}

interface Abortable extends CallContext {
  readonly aborted: boolean;
  abort(): void;
}

/** The signal is made when a handler first asks for it: most never do, and one costs more than the rest of a request. */
function abortableContext(caller: ServiceName): Abortable {
  let controller: AbortController | undefined;
  let aborted = false;
  return {
    caller,
    get signal() {
      controller ??= new AbortController();
      if (aborted) controller.abort();
      return controller.signal;
    },
    get aborted() {
      return aborted;
    },
    abort() {
      aborted = true;
      controller?.abort();
    },
  };
}

export function createServing(send: (frame: Buffer) => void, log: Logger): Serving {
  const served = new Map<number, Served>();
  const running = createIdTable<Abortable>();

  const refuse = (frame: Buffer, code: FaultCode, detail: string): void =>
    send(faultFrame(idOf(frame), topicOf(frame), code, detail));

  const answer = (id: number, topic: number, name: string, outcome: UntypedAnswer): void => {
    const payload = encodePayload(outcome.ok ? outcome.value : outcome.error);
    if (payload.length > MAX_PAYLOAD_BYTES) {
      log.error(`answer of ${name} has ${payload.length} bytes, at most ${MAX_PAYLOAD_BYTES} fit a message`);
      send(faultFrame(id, topic, 'INTERNAL', 'answer too large'));
      return;
    }
    send(encodeFrame(outcome.ok ? KIND.result : KIND.error, id, topic, 0, payload));
  };

  const run = async (frame: Buffer, { name, spec, handler }: Served): Promise<void> => {
    const id = idOf(frame);
    const topic = topicOf(frame);
    const caller = SERVICE_NAMES[peerOf(frame)];
    const decoded = decodePayload(payloadOf(frame));
    const params = spec.params.safeParse(decoded?.value);
    if (caller === undefined || decoded === undefined || !params.success) {
      const detail = params.success ? 'undecodable' : params.error.message;
      log.warn(`bad params for ${name} from ${caller ?? 'nobody'}: ${detail}`);
      refuse(frame, 'BAD_PARAMS', detail);
      return;
    }
    const context = abortableContext(caller);
    running.set(id, context);
    try {
      answer(id, topic, name, await handler(params.data, context));
    } catch (error) {
      log.error(`${name} failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
      refuse(frame, context.aborted ? 'CANCELLED' : 'INTERNAL', error instanceof Error ? error.message : '');
    } finally {
      running.take(id);
    }
  };

  return {
    add(contract, handlers) {
      for (const [request, spec] of Object.entries(contract.requests)) {
        const handler = handlers[request];
        if (handler === undefined) throw new Error(`${contract.service}.${request} has no handler`);
        const name = `${contract.service}.${request}`;
        served.set(topicId(contract.service, request), { name, spec, handler });
      }
    },
    request(frame) {
      const entry = served.get(topicOf(frame));
      if (entry === undefined) refuse(frame, 'INTERNAL', 'not served');
      else void run(frame, entry);
    },
    cancel(frame) {
      running.get(idOf(frame))?.abort();
    },
    abandon() {
      for (const [, context] of running.entries()) context.abort();
    },
  };
}
