// Gives the leases of one container back when an operator says so: never those of one that runs or is about to.
import { type CallContext, fail, type Handlers, ok } from '../../shared/ipc/contract.ts';
import type { stateContract } from './contract.ts';
import { heldLeases } from './held-leases.ts';
import type { Peers } from './peers.ts';

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
      const leases = await heldLeases(ipam, (call) => call());
      const held = leases.filter((lease) => lease.pool === pool && lease.container === container);
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
