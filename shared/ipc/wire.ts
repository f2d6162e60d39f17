// Payloads that the messages' own machinery exchanges, and frames that carry them.
import * as z from 'zod/mini';
import { encodeMessage } from './codec.ts';
import { type Frame, KIND } from './envelope.ts';
import { FAULT_CODES, type FaultCode } from './fault.ts';

export const helloPayload = z.strictObject({ contracts: z.string().check(z.maxLength(128)) });
export const faultPayload = z.strictObject({ code: z.enum(FAULT_CODES), detail: z.string().check(z.maxLength(4096)) });
export const lostPayload = z.strictObject({ count: z.int().check(z.minimum(1)) });

export function faultFrame(id: number, topic: number, code: FaultCode, detail: string): Frame {
  return encodeMessage(KIND.fault, id, topic, { code, detail: detail.slice(0, 4096) });
}
