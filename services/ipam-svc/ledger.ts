// All pools and leases, as the journal's records make them; what a request changes is applied at once, as records with one undo. Pure.
//
// The same `apply` serves replay and life, so that what a restart reads is what was. Callers write the records and call `undo`, in reverse
// order of the requests, when that fails.
import { formatIpv4, type Ipv4, macOf, parseIpv4 } from '../../shared/ipv4/address.ts';
import type { Problem } from '../../shared/revision/revision.ts';
import type { Lease, Reservation } from '../../shared/schema/network.ts';
import { bindingHolder, decide, type Refusal } from './allocator.ts';
import { addressesInDoubt, doubtfulAddresses, type Loss, lowestNeverUsed } from './damage.ts';
import type { Configuration, Entry, LeaseKey } from './journal-format.ts';
import type { Undo } from './lease-table.ts';
import { checkConfiguration, holderOf, type PoolView, viewPool } from './pool.ts';
import { createPoolHistory, type PoolHistory } from './pool-leases.ts';

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

export interface Doubt {
  /** Records lost in all damage of this journal's life. */
  readonly records: number;
  /** Lowest addresses of any new subnet that they may have issued. */
  readonly addresses: number;
}

export interface Ledger {
  configuration(): Configuration;
  /** When the configuration became what it is, milliseconds since 1970. */
  configuredMs(): number;
  histories(): ReadonlyMap<string, PoolHistory>;
  doubt(): Doubt;
  replay(entry: Entry): void;
  damage(loss: Loss): void;
  configure(configuration: Configuration, ms: number): Configured;
  /** All interfaces or none. */
  allocate(container: string, wishes: readonly InterfaceWish[], ms: number): Allocated;
  release(key: LeaseKey, ms: number): Released;
  /** How many entries a snapshot would have, about: used addresses and the configuration. */
  size(): number;
  /** Entries that make an equal ledger when replayed into an empty one. */
  snapshot(): Entry[];
}

const UNCHANGED: Change = { records: [], undo: () => undefined };

export function createLedger(): Ledger {
  const histories = new Map<string, PoolHistory>();
  let configuration: Configuration = { pools: [], reservations: [] };
  let configuredMs = 0;
  let doubt: Doubt = { records: 0, addresses: 0 };

  function historyOf(pool: string): PoolHistory {
    const known = histories.get(pool);
    if (known !== undefined) return known;
    const history = createPoolHistory();
    histories.set(pool, history);
    return history;
  }

  function setConfiguration(next: Configuration, ms: number): Undo {
    const before = { configuration, ms: configuredMs };
    const views = new Map(next.pools.map((pool) => [pool.name, viewPool(pool, next.reservations)]));
    for (const pool of views.keys()) historyOf(pool);
    const undos = [...histories].map(([pool, history]) => setView(history, views.get(pool)));
    configuration = next;
    configuredMs = ms;
    return () => {
      for (const undo of undos.reverse()) undo();
      configuration = before.configuration;
      configuredMs = before.ms;
    };
  }

  function setView(history: PoolHistory, view: PoolView | undefined): Undo {
    const before = history.active()?.view;
    const undo = history.setView(view);
    if (view === undefined || view.pool.subnet === before?.pool.subnet) return undo;
    history.quarantine(lowestNeverUsed({ view, table: history.table }, doubt.addresses));
    return undo;
  }

  function apply(entry: Entry): Undo {
    switch (entry.op) {
      case 'journal':
        return () => undefined;
      case 'config':
        return setConfiguration(entry.configuration, entry.ms);
      case 'lease': {
        const { address, origin, mac, ms } = entry;
        return historyOf(entry.pool).hold(holderOf(entry), address, origin, mac, ms);
      }
      case 'release':
        return applyRelease(entry);
      case 'past':
        historyOf(entry.pool).addPast(entry);
        return () => undefined;
      case 'quarantine':
        historyOf(entry.pool).quarantine([entry.address]);
        return () => undefined;
      case 'doubt':
        doubt = { records: entry.records, addresses: entry.addresses };
        return () => undefined;
    }
  }

  /** After damage a release may be of a lease that is not known: its address counts as used then. */
  function applyRelease(entry: Extract<Entry, { op: 'release' }>): Undo {
    const history = historyOf(entry.pool);
    const slot = history.table.slotOf(entry.address);
    if (slot === undefined) history.addPast({ ...entry, op: 'past', home: false });
    const held = history.table.heldBy(holderOf(entry));
    return held === slot ? history.release(holderOf(entry), entry.ms) : () => undefined;
  }

  function configure(next: Configuration, ms: number): Configured {
    const { problems, warnings, clash } = checkConfiguration(next);
    if (problems.length > 0) return { ok: false, error: { code: 'INVALID_POOLS', problems: [...problems] } };
    if (clash !== undefined) return { ok: false, error: taken(clash.reservation, clash.holder) };
    if (JSON.stringify(next) === JSON.stringify(configuration)) return { ok: true, warnings, change: UNCHANGED };
    const views = new Map(next.pools.map((pool) => [pool.name, viewPool(pool, next.reservations)]));
    for (const reservation of next.reservations) {
      const view = views.get(reservation.pool);
      const table = histories.get(reservation.pool)?.table;
      const address = parseIpv4(reservation.address);
      if (view === undefined || table === undefined || address === undefined || !view.reservedBy.has(address)) continue;
      const holder = bindingHolder({ view, table }, holderOf(reservation), address);
      if (holder !== undefined) return { ok: false, error: taken(reservation, holder) };
    }
    const entry: Entry = { op: 'config', ms, configuration: next };
    return { ok: true, warnings, change: { records: [entry], undo: apply(entry) } };
  }

  function allocate(container: string, wishes: readonly InterfaceWish[], ms: number): Allocated {
    const records: Entry[] = [];
    const undos: Undo[] = [];
    const granted: Granted[] = [];
    const undo = (): void => {
      for (let at = undos.length - 1; at >= 0; at -= 1) undos[at]?.();
    };
    for (const wish of wishes) {
      const grant = allocateOne(container, wish, ms);
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
    container: string,
    wish: InterfaceWish,
    ms: number,
  ): { ok: true; granted: Granted; change: Change } | { ok: false; error: AllocateRefusal } {
    const history = histories.get(wish.pool);
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
    return { ok: true, granted, change: { records: [entry], undo: apply(entry) } };
  }

  function release(key: LeaseKey, ms: number): Released {
    const table = histories.get(key.pool)?.table;
    const slot = table?.heldBy(holderOf(key));
    if (table === undefined || slot === undefined) return { ...UNCHANGED, released: false };
    const { address } = table.read(slot);
    const entry: Entry = { op: 'release', ...key, address, ms };
    return { records: [entry], undo: apply(entry), released: true, address: formatIpv4(address) };
  }

  return {
    configuration: () => configuration,
    configuredMs: () => configuredMs,
    histories: () => histories,
    doubt: () => doubt,
    replay: (entry) => void apply(entry),
    damage(loss) {
      for (const history of histories.values()) {
        const leases = history.active();
        if (leases !== undefined) history.quarantine(addressesInDoubt(leases, loss));
      }
      doubt = { records: doubt.records + loss.records, addresses: doubt.addresses + doubtfulAddresses(loss) };
    },
    configure,
    allocate,
    release,
    size: () => [...histories.values()].reduce((sum, history) => sum + history.table.count(), 2),
    snapshot: () => [
      { op: 'journal' },
      { op: 'config', ms: configuredMs, configuration },
      ...[...histories].flatMap(([pool, history]) => snapshotPool(pool, history)),
      ...(doubt.records > 0 ? [{ op: 'doubt', ...doubt } as const] : []),
    ],
  };
}

/** Released ones first: a lease replayed earlier must not be undone by an older end of the same holder. */
function snapshotPool(pool: string, { table, quarantined }: PoolHistory): Entry[] {
  const keyOf = (holder: string): LeaseKey => {
    const [container = '', name = ''] = holder.split('/');
    return { pool, container, interface: name };
  };
  const past = table.released().map((slot): Entry => {
    const { holder, address, ms } = table.read(slot);
    return { op: 'past', ...keyOf(holder), address, home: table.homeOf(holder) === slot, ms };
  });
  const held: Entry[] = [];
  for (let slot = 0; slot < table.count(); slot += 1) {
    const { holder, address, state, mac, ms } = table.read(slot);
    if (state !== 'released') held.push({ op: 'lease', ...keyOf(holder), address, origin: state, mac, ms });
  }
  return [...quarantined().map((address): Entry => ({ op: 'quarantine', pool, address })), ...past, ...held];
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
