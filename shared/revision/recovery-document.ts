// The auto_recovery object, as groups and containers write it. All or nothing: a container's own replaces its group's.
import * as z from 'zod/mini';
import type { AutoRecovery, Problem } from './revision.ts';

const seconds = z.number().check(z.minimum(0));

export const autoRecoveryDocument = z.object({
  policy: z.optional(z.enum(['no', 'always', 'on-failure', 'unless-stopped'])),
  max_retries: z.optional(z.int().check(z.minimum(0))),
  retry_delay: z.optional(seconds),
  backoff_factor: z.optional(z.number().check(z.minimum(1))),
  reset_window: z.optional(seconds),
  stable_timeout: z.optional(z.int().check(z.minimum(0))),
  backoff_policy: z.optional(
    z
      .string()
      .check(z.regex(/^(reboot|never|\d+(s|min|h))$/, '"reboot", "never" or a duration such as 30s, 10min, 1h')),
  ),
});

type RecoveryDocument = z.output<typeof autoRecoveryDocument>;

/** What an object that leaves them out has, as in Pantavisor: neither its group's nor the app group's. */
const DEFAULTS = {
  maxRetries: 0,
  retryDelaySeconds: 0,
  backoffFactor: 1,
  resetWindowSeconds: 0,
  stableTimeoutSeconds: 0,
  backoffPolicy: 'reboot',
};

/** What the default app group has. */
export const APP_RECOVERY: AutoRecovery = {
  ...DEFAULTS,
  policy: 'on-failure',
  maxRetries: 5,
  retryDelaySeconds: 5,
  backoffFactor: 2,
  stableTimeoutSeconds: 30,
};

/** What is said of retries that there will not be, or without end. stable_timeout means something without any. `path`: of the object. */
export function recoveryWarnings(path: string, document: RecoveryDocument | undefined): readonly Problem[] {
  if (document === undefined) return [];
  const { policy, stable_timeout: _stable, ...retries } = document;
  if (policy === undefined) {
    const [said] = Object.keys(retries);
    if (said === undefined) return [];
    const message = `has ${said} and no policy, which means no: nothing is tried again; write a policy, such as on-failure`;
    return [{ path, code: 'MISSING', message }];
  }
  if (policy === 'no' || document.max_retries !== undefined || document.retry_delay !== undefined) return [];
  const message = 'is 0, and so is max_retries: it is started again at once, without end; write one of them, such as 5';
  return [{ path: `${path}.retry_delay`, code: 'MISSING', message }];
}

export function recoveryOf(document: RecoveryDocument | undefined): AutoRecovery | undefined {
  if (document === undefined) return undefined;
  return {
    policy: document.policy ?? 'no',
    maxRetries: document.max_retries ?? DEFAULTS.maxRetries,
    retryDelaySeconds: document.retry_delay ?? DEFAULTS.retryDelaySeconds,
    backoffFactor: document.backoff_factor ?? DEFAULTS.backoffFactor,
    resetWindowSeconds: document.reset_window ?? DEFAULTS.resetWindowSeconds,
    stableTimeoutSeconds: document.stable_timeout ?? DEFAULTS.stableTimeoutSeconds,
    backoffPolicy: document.backoff_policy ?? DEFAULTS.backoffPolicy,
  };
}
