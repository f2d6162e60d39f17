// Pages of what is leased, released and reserved, in the order (pool, address). Pure.
import { formatIpv4, type Ipv4, macOf, parseIpv4 } from '../../shared/ipv4/address.ts';
import type { Ledger } from './ledger.ts';
import type { PoolHistory } from './pool-leases.ts';

export interface LeaseRow {
  readonly pool: string;
  readonly container: string;
  readonly interface: string;
  readonly address: string;
  readonly mac: string;
  readonly state: 'leased' | 'released' | 'reserved';
  readonly sinceMs: number;
}

export interface LeasePage {
  readonly leases: readonly LeaseRow[];
  /** `<pool> <address>` of the last row, when there are more. */
  readonly next?: string;
}

/** `after`: the `next` of an earlier page; one that names no row continues where that row would be. */
export function leasePage(ledger: Ledger, after: string | undefined, limit: number): LeasePage {
  const [afterPool = '', afterAddress = ''] = after?.split(' ') ?? [];
  const rows: LeaseRow[] = [];
  const pools = [...ledger.histories()].sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [pool, history] of pools) {
    if (pool < afterPool) continue;
    const from = pool === afterPool ? (parseIpv4(afterAddress) ?? -1) : -1;
    for (const address of addressesOf(history)) {
      if (address <= from) continue;
      if (rows.length === limit) return { leases: rows, next: cursorOf(rows) };
      rows.push(rowOf(ledger, pool, history, address));
    }
  }
  return { leases: rows };
}

function cursorOf(rows: readonly LeaseRow[]): string {
  const last = rows.at(-1);
  return `${last?.pool} ${last?.address}`;
}

function addressesOf(history: PoolHistory): Uint32Array {
  const reserved = history.active()?.view.reservedBy;
  const used = Array.from({ length: history.table.count() }, (_, slot) => history.table.read(slot).address);
  const unused = [...(reserved?.keys() ?? [])].filter((address) => history.table.slotOf(address) === undefined);
  return Uint32Array.from([...used, ...unused]).sort();
}

function rowOf(ledger: Ledger, pool: string, history: PoolHistory, address: Ipv4): LeaseRow {
  const slot = history.table.slotOf(address);
  const lease = slot === undefined ? undefined : history.table.read(slot);
  const reservation = history.active()?.view.reservedBy.get(address);
  const place = { pool, address: formatIpv4(address), mac: lease?.mac ?? macOf(address) };
  if (reservation !== undefined && (lease === undefined || lease.state === 'released')) {
    const { container, interface: name } = reservation;
    return { ...place, container, interface: name, state: 'reserved', sinceMs: ledger.configuredMs() };
  }
  const [container = '', name = ''] = lease?.holder.split('/') ?? [];
  const state = lease?.state === 'released' ? 'released' : 'leased';
  return { ...place, container, interface: name, state, sinceMs: lease?.ms ?? 0 };
}
