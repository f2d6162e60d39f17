// The requests that a service answers: finds the handler, parses the params, runs it, sends what comes of it.
import type { Logger } from '../log/logger.ts';
import { decodeMessage, encodeMessage } from './codec.ts';
import { type CallContext, type Contract, type RequestSpec, SERVICE_NAMES, type ServiceName } from './contract.ts';
import {
  type Frame,
  HEADER_BYTES,
  idOf,
  KIND,
  MAX_FRAME_BYTES,
  MAX_PAYLOAD_BYTES,
  peerOf,
  sizeOf,
  topicOf,
} from './envelope.ts';
import type { FaultCode } from './fault.ts';
import { createIdTable } from './id-table.ts';
import type { UntypedAnswer } from './pending-calls.ts';
import { shapeProblem } from './shape-problem.ts';
import { topicId } from './topic.ts';
import { faultFrame } from './wire.ts';

export type UntypedHandler = (params: unknown, context: CallContext) => Promise<UntypedAnswer> | UntypedAnswer;

export interface Serving {
  add(contract: Contract, handlers: Readonly<Record<string, UntypedHandler>>): void;
  request(frame: Frame): void;
  cancel(frame: Frame): void;
  /** Aborts everything that runs: nobody will hear the answers. */
  abandon(): void;
}

interface Served {
  readonly name: string;
  readonly spec: RequestSpec;
  readonly handler: UntypedHandler;
}

/**
 * The signal is made when a handler first asks for it: most never do, and one costs more than the rest of a request.
 * A class: closures and accessors of its own for each request cost a twentieth of it.
 */
class RunningRequest implements CallContext {
  readonly caller: ServiceName;
  aborted = false;
  #controller: AbortController | undefined;

  constructor(caller: ServiceName) {
    this.caller = caller;
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.aborted) this.#controller.abort();
    return this.#controller.signal;
  }

  abort(): void {
    this.aborted = true;
    this.#controller?.abort();
  }
}

export function createServing(send: (frame: Frame) => void, log: Logger): Serving {
  const served = new Map<number, Served>();
  const running = createIdTable<RunningRequest>();

  const refuse = (id: number, topic: number, code: FaultCode, detail: string): void =>
    send(faultFrame(id, topic, code, detail));

  const answer = (id: number, topic: number, name: string, outcome: UntypedAnswer): void => {
    const frame = outcome.ok
      ? encodeMessage(KIND.result, id, topic, outcome.value)
      : encodeMessage(KIND.error, id, topic, outcome.error);
    if (sizeOf(frame) <= MAX_FRAME_BYTES) {
      send(frame);
      return;
    }
    const bytes = sizeOf(frame) - HEADER_BYTES;
    log.error(`answer of ${name} has ${bytes} bytes, at most ${MAX_PAYLOAD_BYTES} fit a message`);
    refuse(id, topic, 'INTERNAL', 'answer too large');
  };

  const run = async (frame: Frame, { name, spec, handler }: Served): Promise<void> => {
    const id = idOf(frame);
    const topic = topicOf(frame);
    const caller = SERVICE_NAMES[peerOf(frame)];
    const decoded = decodeMessage(frame);
    const params = spec.params.safeParse(decoded?.value);
    if (caller === undefined || decoded === undefined || !params.success) {
      const detail = params.success ? 'undecodable' : shapeProblem(params.error);
      log.warn(`bad params for ${name} from ${caller ?? 'nobody'}: ${detail}`);
      refuse(id, topic, 'BAD_PARAMS', detail);
      return;
    }
    const context = new RunningRequest(caller);
    running.set(id, context);
    try {
      const outcome = handler(params.data, context);
      answer(id, topic, name, outcome instanceof Promise ? await outcome : outcome);
    } catch (error) {
      log.error(`${name} failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
      refuse(id, topic, context.aborted ? 'CANCELLED' : 'INTERNAL', error instanceof Error ? error.message : '');
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
      if (entry === undefined) refuse(idOf(frame), topicOf(frame), 'INTERNAL', 'not served');
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
