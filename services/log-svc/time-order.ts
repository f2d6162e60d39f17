// Messages of several writers as one: by their time, and each writer's in the order in which it wrote them. Pure.
import type { LogMessage } from './log-flow.ts';

/** A clock that went backwards holds its own writer's later messages up, and nobody else's. */
export function inTimeOrder(writers: readonly (readonly LogMessage[])[]): readonly LogMessage[] {
  const said = writers.flatMap((messages) => {
    let latestMs = Number.NEGATIVE_INFINITY;
    return messages.map((message) => {
      latestMs = Math.max(latestMs, message.timeMs);
      return { message, dueMs: latestMs };
    });
  });
  // Stable (ECMA-262, 23.1.3.30): what is due at once stays as its writer had it.
  return said.sort((one, other) => one.dueMs - other.dueMs).map(({ message }) => message);
}
