// All pools and leases as the journal's records make them: what each record changes, and how that is undone. Pure.
//
// The same `apply` serves replay and life, so that what a restart reads is what was.
import { addressesInDoubt, doubtfulAddresses, type Loss, lowestNeverUsed } from './damage.ts';
import type { Configuration, Entry } from './journal-format.ts';
import type { LeaseLine } from './lease-line.ts';
import type { Undo } from './lease-table.ts';
import { holderOf, keyOf, type PoolView, viewPool } from './pool.ts';
import { createPoolHistory, type PoolHistory } from './pool-leases.ts';

export interface Doubt {
  /** Records lost in all damage of this journal's life. */
  readonly records: number;
  /** Lowest addresses of any new subnet that they may have issued. */
  readonly addresses: number;
}

export interface Books {
  configuration(): Configuration;
  /** When the configuration became what it is, milliseconds since 1970. */
  configuredMs(): number;
  histories(): ReadonlyMap<string, PoolHistory>;
  doubt(): Doubt;
  apply(entry: Entry): Undo;
  /** Applies a lease that ends nothing, with no way back; false: it is one for `apply`. */
  applyFirst(lease: LeaseLine): boolean;
  damage(loss: Loss): void;
  /** How many entries a snapshot would have, about: used and quarantined addresses, and the configuration. */
  size(): number;
  /** Entries that make equal books when applied to empty ones. */
  snapshot(): Entry[];
}

export function createBooks(): Books {
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
    const views = new Map(next.pools.map((pool) => [pool.name, viewPool(pool, next)]));
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

  return {
    configuration: () => configuration,
    configuredMs: () => configuredMs,
    histories: () => histories,
    doubt: () => doubt,
    apply,
    applyFirst: (lease) => lease.mac === undefined && historyOf(lease.pool).holdFirst(lease),
    damage(loss) {
      for (const history of histories.values()) {
        const leases = history.active();
        if (leases !== undefined) history.quarantine(addressesInDoubt(leases, loss));
      }
      doubt = { records: doubt.records + loss.records, addresses: doubt.addresses + doubtfulAddresses(loss) };
    },
    size: () =>
      [...histories.values()].reduce((sum, { table, quarantinedCount }) => sum + table.count() + quarantinedCount(), 2),
    snapshot: () => [
      { op: 'journal' },
      { op: 'config', ms: configuredMs, configuration },
      ...[...histories].flatMap(([pool, history]) => snapshotPool(pool, history)),
      ...(doubt.records > 0 ? [{ op: 'doubt', ...doubt } as const] : []),
    ],
  };
}

/** Past ones first: a lease replayed earlier must not be undone by an older end of the same holder. */
function snapshotPool(pool: string, { table, quarantined }: PoolHistory): Entry[] {
  const pastOf = (slot: number): Entry => {
    const { holder, address, ms } = table.read(slot);
    const owner = table.homeOwnerOf(slot);
    return { op: 'past', ...keyOf(pool, owner ?? holder), address, home: owner !== undefined, ms };
  };
  const past = table.released().map(pastOf);
  const held: Entry[] = [];
  for (let slot = 0; slot < table.count(); slot += 1) {
    const { holder, address, state, mac, ms } = table.read(slot);
    if (state === 'released') continue;
    // Somebody's home, which the revision fixes for another.
    if (table.homeOwnerOf(slot) !== undefined) past.push(pastOf(slot));
    held.push({ op: 'lease', ...keyOf(pool, holder), address, origin: state, mac, ms });
  }
  return [...quarantined().map((address): Entry => ({ op: 'quarantine', pool, address })), ...past, ...held];
}
