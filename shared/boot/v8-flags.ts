// The flags of V8 that a service is started with, how it takes them back, and one for its work.
import process from 'node:process';

/**
 * No text that came in becomes a program. Limits of the heap, MiB: a service at rest uses 4–6; the young generation is what bursts grow, and
 * only shared/service/rest.ts makes it shrink again. V8 heeds limits only from the very start: set later, what bursts leave behind stays.
 */
export const V8_FLAGS = [
  '--disallow-code-generation-from-strings',
  '--max-semi-space-size=1',
  '--max-old-space-size=128',
  // For shared/service/rest.ts.
  '--expose-gc',
] as const;

/**
 * The defaults again, said by the service itself before it loads anything: V8 takes compiled code, that of Node's own modules too, only while
 * its flags are those that the code was compiled with. What V8_FLAGS are about was laid down when V8 started, and stays.
 */
export const V8_DEFAULTS = [
  '--no-disallow-code-generation-from-strings',
  '--max-semi-space-size=0',
  '--max-old-space-size=0',
  '--no-expose-gc',
] as const;

/**
 * How hot code is before V8's optimising compiler takes it up: of the bytes of bytecode that a function has run, or from V8 12 on of how often it was
 * called. From V8 13 on another compiler comes before it, and V8 itself waits longer than its list of flags says.
 */
const VERSION = Number.parseInt(process.versions.v8, 10);
const patience = (times: number): string => {
  if (VERSION < 12) return `--interrupt-budget=${times * 67_584}`;
  return `--invocation-count-for-turbofan=${times * (VERSION < 13 ? 3_000 : 10_000)}`;
};

/** V8's own. */
export const V8_IMPATIENCE = patience(1);

/**
 * For a bundle that is loaded, seven times V8's own. A container has its start behind it by then, and code that is as hot as that stays so; else, on
 * threads beside that of the service, the compiler takes a tenth of the CPU of a boot of twenty.
 */
export const V8_PATIENCE = patience(7);
