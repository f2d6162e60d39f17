// How a process ended, as wait(2) tells it.
import * as z from 'zod/mini';

export const exitStatus = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('code'), code: z.int().check(z.minimum(0), z.maximum(255)) }),
  z.strictObject({ kind: z.literal('signal'), signal: z.int().check(z.minimum(1), z.maximum(64)) }),
  /** Its end was seen, its status could not be learnt (LXC's monitor itself was killed). */
  z.strictObject({ kind: z.literal('unknown') }),
]);
export type ExitStatus = z.output<typeof exitStatus>;
