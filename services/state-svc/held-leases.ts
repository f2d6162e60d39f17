// All leases that are held now, asked of ipam-svc page by page.
import type { Result } from '../../shared/ipc/contract.ts';
import { allPages } from '../../shared/ipc/page.ts';
import { type ipamContract, MAX_LEASES_A_PAGE } from '../ipam-svc/contract.ts';
import type { Ask, Peers } from './peers.ts';

type Lease = Result<(typeof ipamContract)['requests']['listLeases']>['leases'][number];

/** Rejects with a Fault when ipam-svc does not answer. */
export async function heldLeases(ipam: Pick<Peers['ipam'], 'listLeases'>, ask: Ask): Promise<readonly Lease[]> {
  const leases = await allPages(async (after) => {
    const page = await ask(() => ipam.listLeases({ limit: MAX_LEASES_A_PAGE, after }));
    // It has no declared errors.
    return page.ok ? { rows: page.value.leases, next: page.value.next } : { rows: [], next: undefined };
  });
  return leases.filter(({ state }) => state === 'leased');
}
