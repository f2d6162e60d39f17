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
 * For a bundle that is loaded: how hot code is before V8's optimising compiler takes it up, seven times what V8 waits for by itself. A container has
 * its start behind it by then, and code that is as hot as that stays so; else, on threads beside that of the service, the compiler takes a tenth of the
 * CPU of a boot of twenty. Of the bytes of bytecode that a function has run, or from V8 12 on how often it was called.
 */
export const V8_PATIENCE =
  Number.parseInt(process.versions.v8, 10) < 12 ? '--interrupt-budget=500000' : '--invocation-count-for-turbofan=22000';
