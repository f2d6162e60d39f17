// The flags of V8 that a service runs with. Compiled code is taken only by a V8 with the same ones.

/**
 * No text that came in becomes a program. Limits of the heap, MiB: a service at rest uses 4–6; the young generation is what bursts grow, and it
 * never shrinks. V8 heeds limits only from the very start: set later, what bursts leave behind stays.
 */
export const V8_FLAGS = [
  '--disallow-code-generation-from-strings',
  '--max-semi-space-size=1',
  '--max-old-space-size=128',
] as const;
