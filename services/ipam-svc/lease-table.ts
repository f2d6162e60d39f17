// The addresses of one pool and who has them: columns instead of objects (65,000 leases in about 10 MB), every change undoable.
// Pure. An address gets a slot when it is first used and keeps it; slots that nobody has and anybody may get form a list in
// order of release. Undo functions must be called in reverse order, each at most once.
import type { Ipv4 } from '../../shared/ipv4/address.ts';
import type { Origin } from './journal-format.ts';

export type Undo = () => void;

export type SlotState = Origin | 'released';

export interface Slot {
  readonly address: Ipv4;
  /** `container/interface`: who has it, or had it last. */
  readonly holder: string;
  readonly state: SlotState;
  /** Milliseconds since 1970, when the state became what it is. */
  readonly ms: number;
  /** Undefined: derived from the address. */
  readonly mac: string | undefined;
}

export interface LeaseTable {
  slotOf(address: Ipv4): number | undefined;
  heldBy(holder: string): number | undefined;
  /** The slot that a holder had dynamically before it was moved away, while nobody else got it. */
  homeOf(holder: string): number | undefined;
  slotWithMac(mac: string): number | undefined;
  read(slot: number): Slot;
  /** Ever used addresses. */
  count(): number;
  heldCount(): number;
  /** Slots in the list of those that may be given again. */
  reusableCount(): number;
  leastRecentlyReleased(): number | undefined;
  /** All that nobody has, least recently released first. */
  released(): number[];
  /** Gives `address` to `holder` and ends what either had before. */
  hold(holder: string, address: Ipv4, origin: Origin, mac: string | undefined, ms: number): Undo;
  /** Ends what the holder has, and its way home. Without a lease: nothing else. */
  release(holder: string, ms: number): Undo;
  /** A released address from a snapshot. */
  addPast(holder: string, address: Ipv4, home: boolean, ms: number): void;
  /** Lists anew which released addresses may be given again. */
  relink(usable: (address: Ipv4) => boolean): void;
}

const NONE = -1;
const FREE = 0;
const DYNAMIC = 1;
const STATIC = 2;
const FIRST_SLOTS = 16;

interface Columns {
  readonly address: Uint32Array;
  readonly ms: Float64Array;
  readonly state: Uint8Array;
  /** Orders released slots: the count of releases so far. */
  readonly ticket: Float64Array;
  readonly previous: Int32Array;
  readonly next: Int32Array;
}

function allocateColumns(slots: number): Columns {
  return {
    address: new Uint32Array(slots),
    ms: new Float64Array(slots),
    state: new Uint8Array(slots),
    ticket: new Float64Array(slots),
    previous: new Int32Array(slots).fill(NONE),
    next: new Int32Array(slots).fill(NONE),
  };
}

function grow(old: Columns): Columns {
  const columns = allocateColumns(old.address.length * 2);
  columns.address.set(old.address);
  columns.ms.set(old.ms);
  columns.state.set(old.state);
  columns.ticket.set(old.ticket);
  columns.previous.set(old.previous);
  columns.next.set(old.next);
  return columns;
}

/** `reusable` says whether a released address may be given again; it is asked at each release. */
export function createLeaseTable(reusable: (address: Ipv4) => boolean): LeaseTable {
  let columns = allocateColumns(FIRST_SLOTS);
  const holders: string[] = [];
  const slotByAddress = new Map<Ipv4, number>();
  const slotByHolder = new Map<string, number>();
  const homes = new Map<string, number>();
  const macs = new Map<number, string>();
  const slotByMac = new Map<string, number>();
  let tickets = 0;
  let head = NONE;
  let tail = NONE;
  let listed = 0;

  const stateOf = (slot: number): number => columns.state[slot] ?? FREE;
  const holderOf = (slot: number): string => holders[slot] ?? '';

  function link(slot: number, previous: number, next: number): void {
    columns.previous[slot] = previous;
    columns.next[slot] = next;
    if (previous === NONE) head = slot;
    else columns.next[previous] = slot;
    if (next === NONE) tail = slot;
    else columns.previous[next] = slot;
    listed += 1;
  }

  function isListed(slot: number): boolean {
    return head === slot || (columns.previous[slot] ?? NONE) !== NONE;
  }

  function unlink(slot: number): Undo {
    if (!isListed(slot)) return () => undefined;
    const previous = columns.previous[slot] ?? NONE;
    const next = columns.next[slot] ?? NONE;
    if (previous === NONE) head = next;
    else columns.next[previous] = next;
    if (next === NONE) tail = previous;
    else columns.previous[next] = previous;
    columns.previous[slot] = NONE;
    columns.next[slot] = NONE;
    listed -= 1;
    return () => link(slot, previous, next);
  }

  function setMac(slot: number, mac: string | undefined): Undo {
    const before = macs.get(slot);
    if (before === mac) return () => undefined;
    const put = (value: string | undefined): void => {
      const old = macs.get(slot);
      if (old !== undefined) slotByMac.delete(old);
      if (value === undefined) {
        macs.delete(slot);
      } else {
        macs.set(slot, value);
        slotByMac.set(value, slot);
      }
    };
    put(mac);
    return () => put(before);
  }

  function setHome(holder: string, slot: number | undefined): Undo {
    const before = homes.get(holder);
    if (before === slot) return () => undefined;
    const put = (value: number | undefined): void => {
      if (value === undefined) homes.delete(holder);
      else homes.set(holder, value);
    };
    put(slot);
    return () => put(before);
  }

  function newSlot(address: Ipv4): number {
    const slot = holders.length;
    if (slot === columns.address.length) columns = grow(columns);
    holders.push('');
    columns.address[slot] = address;
    slotByAddress.set(address, slot);
    return slot;
  }

  function dropNewest(address: Ipv4): void {
    holders.pop();
    slotByAddress.delete(address);
  }

  function vacate(slot: number, ms: number, home: boolean): Undo {
    const holder = holderOf(slot);
    const before = { ms: columns.ms[slot] ?? 0, state: stateOf(slot), ticket: columns.ticket[slot] ?? 0 };
    const undoMac = setMac(slot, undefined);
    const undoHome = home && before.state === DYNAMIC ? setHome(holder, slot) : () => undefined;
    slotByHolder.delete(holder);
    tickets += 1;
    columns.state[slot] = FREE;
    columns.ms[slot] = ms;
    columns.ticket[slot] = tickets;
    const linked = reusable(columns.address[slot] ?? 0);
    if (linked) link(slot, tail, NONE);
    return () => {
      if (linked) unlink(slot);
      columns.state[slot] = before.state;
      columns.ms[slot] = before.ms;
      columns.ticket[slot] = before.ticket;
      tickets -= 1;
      slotByHolder.set(holder, slot);
      undoHome();
      undoMac();
    };
  }

  function occupy(slot: number, holder: string, state: number, ms: number): Undo {
    const before = { holder: holderOf(slot), state: stateOf(slot), ms: columns.ms[slot] ?? 0 };
    const undoLink = unlink(slot);
    const undoHome = homes.get(before.holder) === slot ? setHome(before.holder, undefined) : () => undefined;
    if (before.state !== FREE) slotByHolder.delete(before.holder);
    holders[slot] = holder;
    columns.state[slot] = state;
    columns.ms[slot] = ms;
    slotByHolder.set(holder, slot);
    return () => {
      slotByHolder.delete(holder);
      holders[slot] = before.holder;
      columns.state[slot] = before.state;
      columns.ms[slot] = before.ms;
      if (before.state !== FREE) slotByHolder.set(before.holder, slot);
      undoHome();
      undoLink();
    };
  }

  /** What `hold` comes to where neither had anything: nearly always, and 65,533 times when a full /16 is read. */
  function holdFirst(holder: string, address: Ipv4, origin: Origin, ms: number): Undo {
    const slot = newSlot(address);
    holders[slot] = holder;
    columns.state[slot] = origin === 'static' ? STATIC : DYNAMIC;
    columns.ms[slot] = ms;
    slotByHolder.set(holder, slot);
    return () => {
      slotByHolder.delete(holder);
      dropNewest(address);
    };
  }

  function hold(holder: string, address: Ipv4, origin: Origin, mac: string | undefined, ms: number): Undo {
    const undos: Undo[] = [];
    const current = slotByHolder.get(holder);
    const existing = slotByAddress.get(address);
    if (current === undefined && existing === undefined && mac === undefined) {
      return holdFirst(holder, address, origin, ms);
    }
    if (current !== undefined && current !== existing) undos.push(vacate(current, ms, true));
    const slot = existing ?? newSlot(address);
    if (existing === undefined) undos.push(() => dropNewest(address));
    const since = current === slot ? (columns.ms[slot] ?? ms) : ms;
    undos.push(occupy(slot, holder, origin === 'static' ? STATIC : DYNAMIC, since));
    undos.push(setMac(slot, mac));
    return () => undoAll(undos);
  }

  function release(holder: string, ms: number): Undo {
    const slot = slotByHolder.get(holder);
    const undoHome = setHome(holder, undefined);
    if (slot === undefined) return undoHome;
    const undoVacate = vacate(slot, ms, false);
    return () => {
      undoVacate();
      undoHome();
    };
  }

  function addPast(holder: string, address: Ipv4, home: boolean, ms: number): void {
    if (slotByAddress.has(address)) return;
    const slot = newSlot(address);
    tickets += 1;
    holders[slot] = holder;
    columns.state[slot] = FREE;
    columns.ms[slot] = ms;
    columns.ticket[slot] = tickets;
    if (home) homes.set(holder, slot);
    if (reusable(address)) link(slot, tail, NONE);
  }

  function released(): number[] {
    const slots = holders.map((_, slot) => slot).filter((slot) => stateOf(slot) === FREE);
    return slots.sort((a, b) => (columns.ticket[a] ?? 0) - (columns.ticket[b] ?? 0));
  }

  return {
    slotOf: (address) => slotByAddress.get(address),
    heldBy: (holder) => slotByHolder.get(holder),
    homeOf: (holder) => homes.get(holder),
    slotWithMac: (mac) => slotByMac.get(mac),
    read: (slot) => ({
      address: columns.address[slot] ?? 0,
      holder: holderOf(slot),
      state: (['released', 'dynamic', 'static'] as const)[stateOf(slot)] ?? 'released',
      ms: columns.ms[slot] ?? 0,
      mac: macs.get(slot),
    }),
    count: () => holders.length,
    heldCount: () => slotByHolder.size,
    reusableCount: () => listed,
    leastRecentlyReleased: () => (head === NONE ? undefined : head),
    released,
    hold,
    release,
    addPast,
    relink(usable) {
      columns.previous.fill(NONE);
      columns.next.fill(NONE);
      head = NONE;
      tail = NONE;
      listed = 0;
      for (const slot of released()) if (usable(columns.address[slot] ?? 0)) link(slot, tail, NONE);
    },
  };
}

function undoAll(undos: readonly Undo[]): void {
  for (let at = undos.length - 1; at >= 0; at -= 1) undos[at]?.();
}
