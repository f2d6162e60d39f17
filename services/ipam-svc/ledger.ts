// What requests do with pools and leases: changes are applied at once, as records with one undo. Pure.
//
// Callers write the records and call `undo`, in reverse order of the requests, when that fails.
import { formatIpv4, type Ipv4, macOf, parseIpv4 } from '../../shared/ipv4/address.ts';
import type { Problem } from '../../shared/revision/revision.ts';
import type { Lease, Reservation } from '../../shared/schema/network.ts';
import { bindingHolder, decide, type Refusal } from './allocator.ts';
import type { Configuration, Entry, LeaseKey } from './journal-format.ts';
import { type LeaseTable, type Undo, undoAll } from './lease-table.ts';
import { type Books, createBooks } from './ledger-books.ts';
import { checkConfiguration, holderOf, isPresent, keyOf, type PoolView, viewPool } from './pool.ts';

export interface Change {
  readonly records: readonly Entry[];
  readonly undo: Undo;
}

export interface InterfaceWish {
  readonly interface: string;
  readonly pool: string;
  readonly address?: string | undefined;
  readonly mac?: string | undefined;
}

export type Released = Change & ({ readonly released: true; readonly address: string } | { readonly released: false });

export interface Granted {
  readonly lease: Lease;
  readonly reused: boolean;
  /** What this key had before it was moved here. */
  readonly previous: string | undefined;
}

export type AllocateRefusal =
  | Exclude<Refusal, { code: 'ADDRESS_TAKEN' | 'MAC_TAKEN' }>
  | (Extract<Refusal, { code: 'ADDRESS_TAKEN' | 'MAC_TAKEN' }> & LeaseKey)
  | { readonly code: 'UNKNOWN_POOL'; readonly pool: string };

export type Allocated =
  | { readonly ok: true; readonly granted: readonly Granted[]; readonly change: Change }
  | { readonly ok: false; readonly error: AllocateRefusal };

export type ConfigureRefusal =
  | { readonly code: 'INVALID_POOLS'; readonly problems: Problem[] }
  | ({ readonly code: 'ADDRESS_TAKEN'; readonly address: string; readonly holder: string } & LeaseKey);

export type Configured =
  | { readonly ok: true; readonly warnings: readonly string[]; readonly change: Change }
  | { readonly ok: false; readonly error: ConfigureRefusal };

export interface Ledger extends Omit<Books, 'apply'> {
  replay(entry: Entry): void;
  configure(configuration: Configuration, ms: number): Configured;
  /** All interfaces or none. */
  allocate(container: string, wishes: readonly InterfaceWish[], ms: number): Allocated;
  release(key: LeaseKey, ms: number): Released;
}

const UNCHANGED: Change = { records: [], undo: () => undefined };

export function createLedger(): Ledger {
  const books = createBooks();
  const { apply, ...seen } = books;
  return {
    ...seen,
    replay: (entry) => void apply(entry),
    configure: (configuration, ms) => configure(books, configuration, ms),
    allocate: (container, wishes, ms) => allocate(books, container, wishes, ms),
    release: (key, ms) => release(books, key, ms),
  };
}

function configure(books: Books, next: Configuration, ms: number): Configured {
  const { problems, warnings, clash } = checkConfiguration(next);
  if (problems.length > 0) return { ok: false, error: { code: 'INVALID_POOLS', problems: [...problems] } };
  if (clash !== undefined) return { ok: false, error: taken(clash.reservation, clash.holder) };
  if (JSON.stringify(next) === JSON.stringify(books.configuration())) return { ok: true, warnings, change: UNCHANGED };
  const views = new Map(next.pools.map((pool) => [pool.name, viewPool(pool, next)]));
  for (const reservation of next.reservations) {
    const view = views.get(reservation.pool);
    const table = books.histories().get(reservation.pool)?.table;
    const address = parseIpv4(reservation.address);
    if (view === undefined || table === undefined || address === undefined || !view.reservedBy.has(address)) continue;
    // Kept for a revision to come back to, as far as nobody of this one has it.
    if (!isPresent(view, holderOf(reservation))) continue;
    const holder = bindingHolder({ view, table }, holderOf(reservation), address);
    if (holder !== undefined) return { ok: false, error: taken(reservation, holder) };
  }
  const entry: Entry = { op: 'config', ms, configuration: next };
  return { ok: true, warnings, change: { records: [entry], undo: books.apply(entry) } };
}

function allocate(books: Books, container: string, wishes: readonly InterfaceWish[], ms: number): Allocated {
  const records: Entry[] = [];
  const undos: Undo[] = [];
  const granted: Granted[] = [];
  const undo = (): void => undoAll(undos);
  for (const wish of wishes) {
    const grant = allocateOne(books, container, wish, ms);
    if (!grant.ok) {
      undo();
      return grant;
    }
    granted.push(grant.granted);
    records.push(...grant.change.records);
    undos.push(grant.change.undo);
  }
  return { ok: true, granted, change: { records, undo } };
}

function allocateOne(
  books: Books,
  container: string,
  wish: InterfaceWish,
  ms: number,
): { ok: true; granted: Granted; change: Change } | { ok: false; error: AllocateRefusal } {
  const history = books.histories().get(wish.pool);
  const leases = history?.active();
  if (history === undefined || leases === undefined)
    return { ok: false, error: { code: 'UNKNOWN_POOL', pool: wish.pool } };
  const key = { pool: wish.pool, container, interface: wish.interface };
  const holder = holderOf(key);
  const address = wish.address === undefined ? undefined : parseIpv4(wish.address);
  const decision = decide(leases, { holder, address, mac: wish.mac });
  if (!decision.ok) return { ok: false, error: withKey(decision.error, key) };
  const { choice } = decision;
  const slot = history.table.heldBy(holder);
  const current = slot === undefined ? undefined : history.table.read(slot);
  const reused = current?.address === choice.address;
  const granted: Granted = {
    lease: toLease(key, leases.view, choice.address, choice.mac),
    reused,
    previous: current === undefined || reused ? undefined : formatIpv4(current.address),
  };
  if (reused && current.mac === choice.mac && current.state === choice.origin)
    return { ok: true, granted, change: UNCHANGED };
  const entry: Entry = { op: 'lease', ...key, ...choice, ms };
  const records = [...withoutMac(history.table, key.pool, holder, choice.mac), entry];
  const undos = records.map(books.apply);
  return { ok: true, granted, change: { records, undo: () => undoAll(undos) } };
}

/** The lease that has this MAC from an earlier revision, and keeps its address without it. */
function withoutMac(table: LeaseTable, pool: string, holder: string, mac: string | undefined): Entry[] {
  const slot = mac === undefined ? undefined : table.slotWithMac(mac);
  if (slot === undefined) return [];
  const { holder: other, address, state, ms } = table.read(slot);
  if (other === holder || state === 'released') return [];
  return [{ op: 'lease', ...keyOf(pool, other), address, origin: state, mac: undefined, ms }];
}

function release(books: Books, key: LeaseKey, ms: number): Released {
  const table = books.histories().get(key.pool)?.table;
  const slot = table?.heldBy(holderOf(key));
  if (table === undefined || slot === undefined) return { ...UNCHANGED, released: false };
  const { address } = table.read(slot);
  const entry: Entry = { op: 'release', ...key, address, ms };
  return { records: [entry], undo: books.apply(entry), released: true, address: formatIpv4(address) };
}

function toLease(key: LeaseKey, { pool, subnet }: PoolView, address: Ipv4, mac: string | undefined): Lease {
  return {
    pool: key.pool,
    container: key.container,
    interface: key.interface,
    address: formatIpv4(address),
    prefixLength: subnet.prefixLength,
    gateway: pool.gateway,
    bridge: pool.bridge,
    mac: mac ?? macOf(address),
  };
}

function taken({ pool, container, interface: name, address }: Reservation, holder: string): ConfigureRefusal {
  return { code: 'ADDRESS_TAKEN', pool, container, interface: name, address, holder };
}

function withKey(error: Refusal, key: LeaseKey): AllocateRefusal {
  switch (error.code) {
    case 'ADDRESS_TAKEN':
    case 'MAC_TAKEN':
      return { ...error, ...key };
    default:
      return error;
  }
}
