// One pool over time: its lease table, and the view of it that the current revision defines. Pure; every change undoable.
import type { Ipv4 } from '../../shared/ipv4/address.ts';
import { subnetContains, subnetSize } from '../../shared/ipv4/subnet.ts';
import type { PoolLeases } from './allocator.ts';
import { type Bitmap, createBitmap } from './bitmap.ts';
import type { Entry } from './journal-format.ts';
import type { LeaseLine, Origin } from './lease-line.ts';
import { createLeaseTable, type LeaseTable, type Undo } from './lease-table.ts';
import { holderOf, hostAddressesOf, type PoolView, whyUnusable } from './pool.ts';

export interface PoolHistory {
  readonly table: LeaseTable;
  /** Undefined while the revision has no pool of this name: its leases wait for one that has. */
  active(): PoolLeases | undefined;
  setView(view: PoolView | undefined): Undo;
  quarantine(addresses: readonly Ipv4[]): void;
  quarantined(): readonly Ipv4[];
  quarantinedCount(): number;
  hold(holder: string, address: Ipv4, origin: Origin, mac: string | undefined, ms: number): Undo;
  /** As LeaseTable.holdFirst. */
  holdFirst(lease: LeaseLine): boolean;
  release(holder: string, ms: number): Undo;
  addPast(entry: Extract<Entry, { op: 'past' }>): void;
}

export function createPoolHistory(): PoolHistory {
  const quarantine = new Set<Ipv4>();
  let active: PoolLeases | undefined;
  const reusable = (address: Ipv4): boolean =>
    active !== undefined &&
    whyUnusable(active.view, address) === undefined &&
    !active.view.reservedBy.has(address) &&
    !quarantine.has(address);
  const table = createLeaseTable(reusable);

  function rebuild(view: PoolView | undefined): void {
    active = view && { view, table, fresh: freshAddresses(view, table, quarantine), quarantine };
    table.relink(reusable);
  }

  function takeFresh(address: Ipv4): boolean {
    if (active === undefined || !subnetContains(active.view.subnet, address)) return false;
    return active.fresh.delete(address - active.view.subnet.first);
  }

  /** Marks as used; the undo function makes it never used again, in whatever bitmap the same view has by then. */
  function use(address: Ipv4): Undo {
    const first = active?.view.subnet.first ?? 0;
    return takeFresh(address) ? () => active?.fresh.add(address - first) : () => undefined;
  }

  return {
    table,
    active: () => active,
    setView(view) {
      const before = active?.view;
      rebuild(view);
      return () => rebuild(before);
    },
    quarantine(addresses) {
      for (const address of addresses) {
        quarantine.add(address);
        use(address);
      }
      if (addresses.some((address) => table.slotOf(address) !== undefined)) table.relink(reusable);
    },
    quarantined: () => [...quarantine],
    quarantinedCount: () => quarantine.size,
    hold(holder, address, origin, mac, ms) {
      const undoUse = use(address);
      const undoHold = table.hold(holder, address, origin, mac, ms);
      return () => {
        undoHold();
        undoUse();
      };
    },
    holdFirst(lease) {
      if (!table.holdFirst(lease)) return false;
      takeFresh(lease.address);
      return true;
    },
    release: table.release,
    addPast(entry) {
      use(entry.address);
      table.addPast(holderOf(entry), entry.address, entry.home, entry.ms);
    },
  };
}

function freshAddresses(view: PoolView, table: LeaseTable, quarantine: ReadonlySet<Ipv4>): Bitmap {
  const { first, last } = view.subnet;
  const fresh = createBitmap(subnetSize(view.subnet), true);
  const exclude = (address: Ipv4): void => {
    if (subnetContains(view.subnet, address)) fresh.delete(address - first);
  };
  for (const address of [first, last, view.gateway, ...hostAddressesOf(view)]) exclude(address);
  for (let slot = 0; slot < table.count(); slot += 1) exclude(table.read(slot).address);
  for (const address of view.reservedBy.keys()) exclude(address);
  for (const address of quarantine) exclude(address);
  return fresh;
}
