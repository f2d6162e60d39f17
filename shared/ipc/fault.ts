// What can go wrong with a message itself, as a closed list. Faults are thrown by clients; no handler declares them.

export const FAULT_CODES = [
  'TIMEOUT',
  'CANCELLED',
  'PEER_GONE',
  'DENIED',
  'BAD_PARAMS',
  'BAD_RESULT',
  'OVERLOADED',
  'INTERNAL',
] as const;
export type FaultCode = (typeof FAULT_CODES)[number];

/** A request that got no answer of its contract. `topic` is `<service>.<request>`. */
export class Fault extends Error {
  readonly code: FaultCode;
  readonly topic: string;

  constructor(code: FaultCode, topic: string, detail = '') {
    super(`${topic}: ${code}${detail === '' ? '' : ` (${detail})`}`);
    this.name = 'Fault';
    this.code = code;
    this.topic = topic;
  }
}
