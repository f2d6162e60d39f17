// GET /ipam/leases: all pages of ipam-svc's list as one, in the API's words.
import * as z from 'zod/mini';
import type { Client, Result } from '../../shared/ipc/contract.ts';
import type { ipamContract } from '../ipam-svc/contract.ts';

const PAGE_ROWS = 200;

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

/** A list that changes while it is read is as consistent as its pages. Faults are the caller's. */
export async function listAllLeases(
  ipam: Client<typeof ipamContract>,
  signal: AbortSignal,
): Promise<readonly LeaseRow[]> {
  const rows: LeaseRow[] = [];
  let after: string | undefined;
  do {
    const page = await ipam.listLeases({ limit: PAGE_ROWS, ...(after === undefined ? {} : { after }) }, { signal });
    if (!page.ok) return rows;
    rows.push(...page.value.leases.map(toRow));
    // A page without rows cannot be followed by another: no server of ours can keep this loop going for ever.
    after = page.value.leases.length === 0 ? undefined : page.value.next;
  } while (after !== undefined);
  return rows;
}

function toRow({ container, sinceMs, ...lease }: Lease): LeaseRow {
  return { owner: container, ...lease, since: new Date(sinceMs).toISOString() };
}
