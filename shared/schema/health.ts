// Why something is not as it should be: what every service answers on `health`, and what GET /health collects.
import * as z from 'zod/mini';

export const healthReason = z.strictObject({
  /** UPPER_SNAKE, for machines. */
  code: z.string(),
  /** The thing it is about: a service, container, pool, file. */
  subject: z.string(),
  /** For people: the thing, the value, the way out. */
  message: z.string(),
});
export type HealthReason = z.output<typeof healthReason>;

/** The request that every service but ctl-svc answers: why it is not as it should be, nothing when it is. */
export const healthRequest = {
  callers: ['ctl-svc'],
  params: z.strictObject({}),
  result: z.strictObject({ reasons: z.array(healthReason) }),
  errors: {},
  idempotent: true,
  deadlineMs: 1_000,
} as const;
