// Leases in the API's words: all pages of ipam-svc's list as one, and those that changed.
import * as z from 'zod/mini';
import type { Client, Result } from '../../shared/ipc/contract.ts';
import { allPages } from '../../shared/ipc/page.ts';
import { isoTime } from '../../shared/time/iso-time.ts';
import { type ipamContract, MAX_LEASES_A_PAGE } from '../ipam-svc/contract.ts';

export const leaseRow = z.strictObject({
  /** The container. */
  owner: z.string(),
  pool: z.string(),
  interface: z.string(),
  address: z.string(),
  mac: z.string(),
  state: z.enum(['leased', 'released', 'reserved']),
  /** RFC 3339, when the state became what it is. */
  since: z.string(),
});
type LeaseRow = z.output<typeof leaseRow>;
type Lease = Result<(typeof ipamContract)['requests']['listLeases']>['leases'][number];

/** Rejects with a Fault when ipam-svc does not answer. */
export async function listAllLeases(
  ipam: Client<typeof ipamContract>,
  signal: AbortSignal,
): Promise<readonly LeaseRow[]> {
  const leases = await allPages(async (after) => {
    const page = await ipam.listLeases({ limit: MAX_LEASES_A_PAGE, after }, { signal });
    // It has no declared errors.
    return page.ok ? { rows: page.value.leases, next: page.value.next } : { rows: [], next: undefined };
  });
  return leases.map(toRow);
}

/** A lease that changed, in the words of its row. */
export function leaseEvent<L extends { readonly container: string; readonly atMs: number }>(
  state: LeaseRow['state'],
  { container, atMs, ...lease }: L,
) {
  return { owner: container, ...lease, state, since: isoTime(atMs) };
}

function toRow({ container, sinceMs, ...lease }: Lease): LeaseRow {
  return { owner: container, ...lease, since: isoTime(sinceMs) };
}
