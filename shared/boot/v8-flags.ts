// The flags of V8 that a service is started with, and how it takes them back.

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
