// The addresses of one pool and who has them: columns instead of objects (65,000 leases in about 5 MB), every change undoable.
// Pure. An address gets a slot when it is first used and keeps it; slots that nobody has and anybody may get form a list in
// order of release. Undo functions must be called in reverse order, each at most once.
import type { Ipv4 } from '../../shared/ipv4/address.ts';
import { createHolderColumn } from './holder-column.ts';
import type { LeaseLine, Origin } from './lease-line.ts';
import { createSlotIndex } from './slot-index.ts';

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
  /**
   * The slot that a holder had dynamically before it was moved away, or before it was fixed for another; while nobody else got it
   * dynamically.
   */
  homeOf(holder: string): number | undefined;
  /** Whose home the slot is, who does not hold it now. */
  homeOwnerOf(slot: number): string | undefined;
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
  /** Does what `hold` does with a lease without a MAC of its own, where neither its holder nor its address is known; false where one is. */
  holdFirst(lease: LeaseLine): boolean;
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
  let count = 0;
  const holders = createHolderColumn();
  const slotByAddress = createSlotIndex((slot) => addressOf(slot));
  /** Of those who have one. */
  const slotByHolder = createSlotIndex(holders.hashAt);
  const homes = new Map<string, number>();
  const homeOwners = new Map<number, string>();
  const macs = new Map<number, string>();
  const slotByMac = new Map<string, number>();
  let tickets = 0;
  let head = NONE;
  let tail = NONE;
  let listed = 0;

  const stateOf = (slot: number): number => columns.state[slot] ?? FREE;
  const addressOf = (slot: number): Ipv4 => columns.address[slot] ?? 0;
  const heldBy = (holder: string): number | undefined => slotByHolder.find(holders.stage(holder), holders.isStaged);

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
      const old = homes.get(holder);
      if (old !== undefined) homeOwners.delete(old);
      if (value === undefined) {
        homes.delete(holder);
      } else {
        homes.set(holder, value);
        homeOwners.set(value, holder);
      }
    };
    put(slot);
    return () => put(before);
  }

  function newSlot(address: Ipv4): number {
    const slot = count;
    if (slot === columns.address.length) columns = grow(columns);
    count += 1;
    columns.address[slot] = address;
    slotByAddress.add(slot);
    return slot;
  }

  function dropNewest(): void {
    count -= 1;
    slotByAddress.delete(count);
    setHolder(count, '');
    columns.state[count] = FREE;
  }

  function setHolder(slot: number, holder: string): void {
    holders.stage(holder);
    holders.writeStaged(slot);
  }

  function vacate(slot: number, ms: number, home: boolean): Undo {
    const holder = holders.read(slot);
    const before = { ms: columns.ms[slot] ?? 0, state: stateOf(slot), ticket: columns.ticket[slot] ?? 0 };
    const undoMac = setMac(slot, undefined);
    const undoHome = home && before.state === DYNAMIC ? setHome(holder, slot) : () => undefined;
    slotByHolder.delete(slot);
    tickets += 1;
    columns.state[slot] = FREE;
    columns.ms[slot] = ms;
    columns.ticket[slot] = tickets;
    const linked = reusable(addressOf(slot));
    if (linked) link(slot, tail, NONE);
    return () => {
      if (linked) unlink(slot);
      columns.state[slot] = before.state;
      columns.ms[slot] = before.ms;
      columns.ticket[slot] = before.ticket;
      tickets -= 1;
      slotByHolder.add(slot);
      undoHome();
      undoMac();
    };
  }

  /** What becomes of the way home to a slot that `holder` gets: one that got it dynamically has it for good, a revision that fixes it for a time. */
  function settleHome(slot: number, holder: string, state: number, before: { holder: string; state: number }): Undo {
    const owner = homeOwners.get(slot);
    if (state === DYNAMIC || owner === holder) return owner === undefined ? () => undefined : setHome(owner, undefined);
    return before.state === DYNAMIC && before.holder !== holder ? setHome(before.holder, slot) : () => undefined;
  }

  function occupy(slot: number, holder: string, state: number, ms: number): Undo {
    const before = { holder: holders.read(slot), state: stateOf(slot), ms: columns.ms[slot] ?? 0 };
    const undoLink = unlink(slot);
    const undoHome = settleHome(slot, holder, state, before);
    if (before.state !== FREE) slotByHolder.delete(slot);
    setHolder(slot, holder);
    columns.state[slot] = state;
    columns.ms[slot] = ms;
    slotByHolder.add(slot);
    return () => {
      slotByHolder.delete(slot);
      setHolder(slot, before.holder);
      columns.state[slot] = before.state;
      columns.ms[slot] = before.ms;
      if (before.state !== FREE) slotByHolder.add(slot);
      undoHome();
      undoLink();
    };
  }

  /** For the holder that is staged, where neither it nor the address is known. */
  function holdNew(address: Ipv4, origin: Origin, ms: number): number {
    const slot = newSlot(address);
    holders.writeStaged(slot);
    columns.state[slot] = origin === 'static' ? STATIC : DYNAMIC;
    columns.ms[slot] = ms;
    slotByHolder.add(slot);
    return slot;
  }

  /** Nearly all of a journal, 65,533 times when a full /16 is read: no strings, no way back. */
  function holdFirst({ bytes, holderAt, holderEnd, address, origin, ms }: LeaseLine): boolean {
    const hash = holders.stageBytes(bytes, holderAt, holderEnd);
    if (slotByAddress.find(address) !== undefined) return false;
    if (slotByHolder.find(hash, holders.isStaged) !== undefined) return false;
    holdNew(address, origin, ms);
    return true;
  }

  function hold(holder: string, address: Ipv4, origin: Origin, mac: string | undefined, ms: number): Undo {
    const current = heldBy(holder);
    const existing = slotByAddress.find(address);
    if (current === undefined && existing === undefined && mac === undefined) {
      const slot = holdNew(address, origin, ms);
      return () => {
        slotByHolder.delete(slot);
        dropNewest();
      };
    }
    const undos: Undo[] = [];
    if (current !== undefined && current !== existing) undos.push(vacate(current, ms, true));
    const slot = existing ?? newSlot(address);
    if (existing === undefined) undos.push(() => dropNewest());
    const since = current === slot ? (columns.ms[slot] ?? ms) : ms;
    undos.push(occupy(slot, holder, origin === 'static' ? STATIC : DYNAMIC, since));
    undos.push(setMac(slot, mac));
    return () => undoAll(undos);
  }

  function release(holder: string, ms: number): Undo {
    const slot = heldBy(holder);
    const undoHome = setHome(holder, undefined);
    if (slot === undefined) return undoHome;
    const undoVacate = vacate(slot, ms, false);
    return () => {
      undoVacate();
      undoHome();
    };
  }

  function addPast(holder: string, address: Ipv4, home: boolean, ms: number): void {
    if (slotByAddress.find(address) !== undefined) return;
    const slot = newSlot(address);
    tickets += 1;
    setHolder(slot, holder);
    columns.state[slot] = FREE;
    columns.ms[slot] = ms;
    columns.ticket[slot] = tickets;
    if (home) setHome(holder, slot);
    if (reusable(address)) link(slot, tail, NONE);
  }

  function released(): number[] {
    const slots = Array.from({ length: count }, (_, slot) => slot).filter((slot) => stateOf(slot) === FREE);
    return slots.sort((a, b) => (columns.ticket[a] ?? 0) - (columns.ticket[b] ?? 0));
  }

  return {
    slotOf: (address) => slotByAddress.find(address),
    heldBy,
    homeOf: (holder) => homes.get(holder),
    homeOwnerOf: (slot) => homeOwners.get(slot),
    slotWithMac: (mac) => slotByMac.get(mac),
    read: (slot) => ({
      address: addressOf(slot),
      holder: holders.read(slot),
      state: (['released', 'dynamic', 'static'] as const)[stateOf(slot)] ?? 'released',
      ms: columns.ms[slot] ?? 0,
      mac: macs.get(slot),
    }),
    count: () => count,
    heldCount: slotByHolder.count,
    reusableCount: () => listed,
    leastRecentlyReleased: () => (head === NONE ? undefined : head),
    released,
    hold,
    holdFirst,
    release,
    addPast,
    relink(usable) {
      columns.previous.fill(NONE);
      columns.next.fill(NONE);
      head = NONE;
      tail = NONE;
      listed = 0;
      for (const slot of released()) if (usable(addressOf(slot))) link(slot, tail, NONE);
    },
  };
}

/** The last one first. */
export function undoAll(undos: readonly Undo[]): void {
  for (let at = undos.length - 1; at >= 0; at -= 1) undos[at]?.();
}
