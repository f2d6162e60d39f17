// The calls of one channel that wait for an answer: ids, deadlines, the caller's signal, and the one repeat that an
// idempotent request is allowed when its receiver dies.
import type { Buffer } from 'node:buffer';
import { decodePayload, encodePayload } from './codec.ts';
import type { CallOptions, RequestSpec } from './contract.ts';
import { encodeFrame, idOf, KIND, kindOf, MAX_PAYLOAD_BYTES, payloadOf } from './envelope.ts';
import { Fault } from './fault.ts';
import { createIdTable } from './id-table.ts';
import { faultPayload } from './wire.ts';

/** What the typed client makes of it; the shapes are those that the contract's own schemas parsed. */
export type UntypedAnswer =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly error: unknown };

export interface PendingCalls {
  call(topic: number, name: string, spec: RequestSpec, params: unknown, options: CallOptions): Promise<UntypedAnswer>;
  /** A frame of kind result, error or fault. Unknown ids are answers that came too late: dropped. */
  settle(frame: Buffer): void;
  /** Fails every call: the connection is gone. */
  abandon(): void;
}

interface PendingCall {
  readonly name: string;
  readonly spec: RequestSpec;
  settle(frame: Buffer): void;
  fail(fault: Fault): void;
}

export function createPendingCalls(send: (frame: Buffer) => void): PendingCalls {
  const pending = createIdTable<PendingCall>();
  let lastId = 0;
  let gone = false;

  const takeId = (): number => {
    do lastId = (lastId + 1) >>> 0;
    while (lastId === 0 || pending.get(lastId) !== undefined);
    return lastId;
  };

  const start = (
    topic: number,
    name: string,
    spec: RequestSpec,
    payload: Uint8Array,
    options: CallOptions,
  ): Promise<UntypedAnswer> =>
    new Promise((resolve, reject) => {
      const deadlineMs = options.deadlineMs ?? spec.deadlineMs;
      const deadlineAt = performance.now() + deadlineMs;
      let id = 0;
      let repeated = false;
      const end = (): void => {
        clearTimeout(timer);
        options.signal?.removeEventListener('abort', onAbort);
        pending.take(id);
      };
      const fail = (fault: Fault): void => {
        end();
        reject(fault);
      };
      const cancel = (fault: Fault): void => {
        send(encodeFrame(KIND.cancel, id, topic, 0, undefined));
        fail(fault);
      };
      const onAbort = (): void => cancel(new Fault('CANCELLED', name));
      const post = (): void => {
        id = takeId();
        pending.set(id, call);
        send(encodeFrame(KIND.request, id, topic, Math.max(1, Math.ceil(deadlineAt - performance.now())), payload));
      };
      const settle = (frame: Buffer): void => {
        const fault = kindOf(frame) === KIND.fault ? parseFault(name, frame) : undefined;
        if (fault?.code === 'PEER_GONE' && spec.idempotent && !repeated && performance.now() < deadlineAt) {
          repeated = true;
          pending.take(id);
          post();
          return;
        }
        end();
        if (fault !== undefined) reject(fault);
        else parseAnswer(name, spec, frame, resolve, reject);
      };
      const call: PendingCall = { name, spec, settle, fail };
      const timer = setTimeout(
        () => cancel(new Fault('TIMEOUT', name, `no answer within ${deadlineMs} ms`)),
        deadlineMs,
      );
      if (options.signal?.aborted === true) {
        clearTimeout(timer);
        reject(new Fault('CANCELLED', name));
        return;
      }
      options.signal?.addEventListener('abort', onAbort, { once: true });
      post();
    });

  return {
    async call(topic, name, spec, params, options) {
      if (gone) throw new Fault('PEER_GONE', name, 'this service is not connected any more');
      const payload = encodePayload(params);
      if (payload.length > MAX_PAYLOAD_BYTES) {
        throw new Fault('BAD_PARAMS', name, `${payload.length} bytes, at most ${MAX_PAYLOAD_BYTES} fit a message`);
      }
      return await start(topic, name, spec, payload, options);
    },
    settle(frame) {
      pending.get(idOf(frame))?.settle(frame);
    },
    abandon() {
      gone = true;
      for (const [, call] of pending.entries()) call.fail(new Fault('PEER_GONE', call.name, 'connection closed'));
    },
  };
}

function parseFault(name: string, frame: Buffer): Fault {
  const parsed = faultPayload.safeParse(decodePayload(payloadOf(frame))?.value);
  if (!parsed.success) return new Fault('BAD_RESULT', name, 'unreadable fault');
  return new Fault(parsed.data.code, name, parsed.data.detail);
}

function parseAnswer(
  name: string,
  spec: RequestSpec,
  frame: Buffer,
  resolve: (answer: UntypedAnswer) => void,
  reject: (fault: Fault) => void,
): void {
  const value = decodePayload(payloadOf(frame))?.value;
  if (kindOf(frame) === KIND.result) {
    const parsed = spec.result.safeParse(value);
    if (parsed.success) resolve({ ok: true, value: parsed.data });
    else reject(new Fault('BAD_RESULT', name, parsed.error.message));
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
