// Why the processes of one service ended. What Berth did to one, or saw of it before, says more than how the kernel calls its end.
import type { ProcessEnd } from './spawn-service.ts';

export interface LastExit {
  readonly reason: string;
  readonly lastWords: string;
  /** Epoch milliseconds. */
  readonly atMs: number;
}

export interface ExitRecord {
  /** Of the process before the present one, or of the one that has just ended. */
  readonly last: LastExit | undefined;
  /** Another process begins. */
  began(): void;
  /** It is killed for this. */
  killedFor(reason: string): void;
  /** Its connection broke; the first reason is kept. */
  disconnectedFor(reason: string): void;
  ended(end: ProcessEnd, lastWords: string): LastExit;
}

export function createExitRecord(): ExitRecord {
  let last: LastExit | undefined;
  let killReason = '';
  let goneReason = '';
  return {
    get last() {
      return last;
    },
    began() {
      killReason = '';
      goneReason = '';
    },
    killedFor(reason) {
      killReason = reason;
    },
    disconnectedFor(reason) {
      goneReason ||= reason;
    },
    ended(end, lastWords) {
      const gone = goneReason === '' ? '' : `, disconnected: ${goneReason}`;
      const reason = killReason === '' ? `${describeEnd(end)}${gone}` : killReason;
      last = { reason, lastWords, atMs: Date.now() };
      return last;
    },
  };
}

function describeEnd({ code, signal }: ProcessEnd): string {
  if (signal !== null) return `killed by ${signal}`;
  return code === null ? 'could not be started' : `exited with ${code}`;
}
