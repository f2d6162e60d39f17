// Gives the leases of one container back when an operator says so: never those of one that runs or is about to.
import { type CallContext, fail, type Handlers, ok } from '../../shared/ipc/contract.ts';
import { allPages } from '../../shared/ipc/page.ts';
import type { stateContract } from './contract.ts';
import type { Peers } from './peers.ts';

/** The largest page that ipam-svc gives. */
const PAGE = 200;

export interface LeaseHandlersContext {
  readonly ipam: Pick<Peers['ipam'], 'listLeases' | 'release'>;
  /** Resolves when it is known which containers run. */
  readonly settled: (context: CallContext) => Promise<void>;
  /** Undefined for a container that no running revision has. */
  readonly statusOf: (container: string) => string | undefined;
  /** What was given back is not the container's any more. */
  readonly released: (container: string, pool: string, address: string) => void;
}

export function leaseHandlers({
  ipam,
  settled,
  statusOf,
  released,
}: LeaseHandlersContext): Pick<Handlers<typeof stateContract>, 'releaseLeases'> {
  return {
    async releaseLeases({ pool, container }, context) {
      await settled(context);
      const leases = await allPages(async (after) => {
        const page = await ipam.listLeases({ limit: PAGE, ...(after === undefined ? {} : { after }) });
        // It has no declared errors.
        return page.ok ? { rows: page.value.leases, next: page.value.next } : { rows: [], next: undefined };
      });
      const held = leases.filter(
        (lease) => lease.state === 'leased' && lease.pool === pool && lease.container === container,
      );
      if (held.length === 0) return fail({ code: 'NO_LEASE' });
      const status = statusOf(container);
      if (status !== undefined && status !== 'STOPPED') return fail({ code: 'NOT_STOPPED', status });
      // Sent in the same turn as the look at the status: what a start asks for comes to ipam-svc after it.
      const answers = await Promise.all(
        held.map(async ({ interface: name, address }) => {
          const answer = await ipam.release({ pool, container, interface: name });
          if (answer.ok) released(container, pool, address);
          return answer;
        }),
      );
      for (const answer of answers) {
        if (!answer.ok) return fail({ code: 'RELEASE_FAILED', reason: answer.error.reason });
      }
      return ok({ released: held.length });
    },
  };
}
