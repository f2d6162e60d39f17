// The answers of log-svc.
import { fail, type Handlers, ok } from '../../shared/ipc/contract.ts';
import type { HealthReason } from '../../shared/schema/health.ts';
import type { logContract } from './contract.ts';
import type { Opened } from './log-flow.ts';

export interface Surroundings {
  openRevision(revision: string): Opened;
  troubles(): readonly HealthReason[];
}

export function logHandlers({ openRevision, troubles }: Surroundings): Handlers<typeof logContract> {
  return {
    openRevision({ revision }) {
      const opened = openRevision(revision);
      return opened.ok ? ok({}) : fail({ code: 'LOG_UNWRITABLE', path: opened.path, reason: opened.reason });
    },
    health: () => ok({ reasons: [...troubles()] }),
  };
}
