// Waits for a thing that tells nobody when it happens, by looking again. The only place in the tests that waits by the clock.
import { setTimeout as delay } from 'node:timers/promises';

const LOOK_AGAIN_MS = 20;
/** Generous: these machines are slow and shared, and nothing here measures time. */
export const PATIENCE_MS = 20_000;

/** Resolves with the first value that is not undefined or false; rejects with `what` after `timeoutMs`. */
export async function eventually<T>(
  what: string,
  timeoutMs: number,
  look: () => Promise<T | undefined | false> | T | undefined | false,
): Promise<T> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    // The last look is one after the time is over: until then the machine may have done something else altogether.
    const isLast = performance.now() > end;
    const value = await look();
    if (value !== undefined && value !== false) return value;
    if (isLast) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await delay(LOOK_AGAIN_MS);
  }
}
