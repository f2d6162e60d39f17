// The calls of one channel that wait for an answer: ids, deadlines, the caller's signal, and the one repeat that an
// idempotent request is allowed when its receiver dies.
import { createCallDeadlines } from './call-deadlines.ts';
import { decodeMessage, encodeMessage } from './codec.ts';
import type { CallOptions, RequestSpec } from './contract.ts';
import {
  type Frame,
  HEADER_BYTES,
  idOf,
  KIND,
  kindOf,
  MAX_FRAME_BYTES,
  MAX_PAYLOAD_BYTES,
  signalFrame,
  sizeOf,
  topicOf,
  writeHeader,
} from './envelope.ts';
import { Fault } from './fault.ts';
import { createIdTable } from './id-table.ts';
import { shapeProblem } from './shape-problem.ts';
import { faultPayload } from './wire.ts';

/** What the typed client makes of it; the shapes are those that the contract's own schemas parsed. */
export type UntypedAnswer =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly error: unknown };

export interface PendingCalls {
  call(topic: number, name: string, spec: RequestSpec, params: unknown, options?: CallOptions): Promise<UntypedAnswer>;
  /** A frame of kind result, error or fault. Unknown ids are answers that came too late: dropped. */
  settle(frame: Frame): void;
  /** Fails every call: the connection is gone. */
  abandon(): void;
}

interface PendingCall {
  readonly name: string;
  readonly spec: RequestSpec;
  /** As it is sent, and sent again. */
  readonly request: Frame;
  readonly deadlineMs: number;
  /** As performance.now() counts. */
  readonly deadlineAt: number;
  readonly signal: AbortSignal | undefined;
  readonly resolve: (answer: UntypedAnswer) => void;
  readonly reject: (fault: Fault) => void;
  onAbort: (() => void) | undefined;
  id: number;
  repeated: boolean;
}

export function createPendingCalls(send: (frame: Frame) => void): PendingCalls {
  const pending = createIdTable<PendingCall>();
  let lastId = 0;
  let gone = false;

  const takeId = (): number => {
    do lastId = (lastId + 1) >>> 0;
    while (lastId === 0 || pending.get(lastId) !== undefined);
    return lastId;
  };

  const end = (call: PendingCall): void => {
    if (call.onAbort !== undefined) call.signal?.removeEventListener('abort', call.onAbort);
    pending.take(call.id);
    if (pending.size() === 0) deadlines.rest();
  };

  const fail = (call: PendingCall, fault: Fault): void => {
    end(call);
    call.reject(fault);
  };

  const cancel = (call: PendingCall, fault: Fault): void => {
    send(signalFrame(KIND.cancel, call.id, topicOf(call.request)));
    fail(call, fault);
  };

  const deadlines = createCallDeadlines((nowMs) => {
    let next = Number.POSITIVE_INFINITY;
    for (const [, call] of pending.entries()) {
      if (call.deadlineAt > nowMs) next = Math.min(next, call.deadlineAt);
      else cancel(call, new Fault('TIMEOUT', call.name, `no answer within ${call.deadlineMs} ms`));
    }
    return next;
  });

  const post = (call: PendingCall, nowMs: number): void => {
    call.id = takeId();
    pending.set(call.id, call);
    const leftMs = Math.max(1, Math.ceil(call.deadlineAt - nowMs));
    writeHeader(call.request, KIND.request, call.id, topicOf(call.request), leftMs);
    send(call.request);
  };

  const settle = (call: PendingCall, frame: Frame): void => {
    const fault = kindOf(frame) === KIND.fault ? parseFault(call.name, frame) : undefined;
    if (fault?.code === 'PEER_GONE' && call.spec.idempotent && !call.repeated && performance.now() < call.deadlineAt) {
      call.repeated = true;
      pending.take(call.id);
      post(call, performance.now());
      return;
    }
    end(call);
    if (fault !== undefined) call.reject(fault);
    else parseAnswer(call, frame);
  };

  const start = (call: PendingCall): void => {
    if (call.signal !== undefined) {
      call.onAbort = () => cancel(call, new Fault('CANCELLED', call.name));
      call.signal.addEventListener('abort', call.onAbort, { once: true });
    }
    post(call, performance.now());
    deadlines.add(call.deadlineAt);
  };

  return {
    // What is thrown in here rejects.
    call: (topic, name, spec, params, { deadlineMs = spec.deadlineMs, signal } = NO_OPTIONS) =>
      new Promise((resolve, reject) => {
        if (gone) throw new Fault('PEER_GONE', name, 'this service is not connected any more');
        if (signal?.aborted === true) throw new Fault('CANCELLED', name);
        const request = encodeMessage(KIND.request, 0, topic, params);
        if (sizeOf(request) > MAX_FRAME_BYTES) {
          const bytes = sizeOf(request) - HEADER_BYTES;
          throw new Fault('BAD_PARAMS', name, `${bytes} bytes, at most ${MAX_PAYLOAD_BYTES} fit a message`);
        }
        const deadlineAt = performance.now() + deadlineMs;
        const onAbort = undefined;
        // In one piece: a spread here takes a fifth of a call's time.
        start({
          name,
          spec,
          request,
          deadlineMs,
          deadlineAt,
          signal,
          resolve,
          reject,
          onAbort,
          id: 0,
          repeated: false,
        });
      }),
    settle(frame) {
      const call = pending.get(idOf(frame));
      if (call !== undefined) settle(call, frame);
    },
    abandon() {
      gone = true;
      for (const [, call] of pending.entries()) fail(call, new Fault('PEER_GONE', call.name, 'connection closed'));
    },
  };
}

const NO_OPTIONS: CallOptions = {};

function parseFault(name: string, frame: Frame): Fault {
  const parsed = faultPayload.safeParse(decodeMessage(frame)?.value);
  if (!parsed.success) return new Fault('BAD_RESULT', name, 'unreadable fault');
  return new Fault(parsed.data.code, name, parsed.data.detail);
}

function parseAnswer({ name, spec, resolve, reject }: PendingCall, frame: Frame): void {
  const value = decodeMessage(frame)?.value;
  if (kindOf(frame) === KIND.result) {
    const parsed = spec.result.safeParse(value);
    if (parsed.success) resolve({ ok: true, value: parsed.data });
    else reject(new Fault('BAD_RESULT', name, shapeProblem(parsed.error)));
    return;
  }
  const error = parseDeclaredError(spec, value);
  if (error === undefined) reject(new Fault('BAD_RESULT', name, 'an error that the contract does not declare'));
  else resolve({ ok: false, error });
}

function parseDeclaredError(spec: RequestSpec, value: unknown): object | undefined {
  if (typeof value !== 'object' || value === null || !('code' in value) || typeof value.code !== 'string')
    return undefined;
  const { code, ...fields } = value;
  const schema = Object.hasOwn(spec.errors, code) ? spec.errors[code] : undefined;
  const parsed = schema?.safeParse(fields);
  return parsed?.success === true && typeof parsed.data === 'object' ? { code, ...parsed.data } : undefined;
}
