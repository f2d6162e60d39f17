// Values by 32-bit number, for calls that come and go by the thousand.
// Not a Map: one that lives long copies itself again and again as entries come and go, each copy it leaves behind refers to the next, and once
// one of them is old, V8's collector of young garbage keeps everything that was ever in the later ones.

export interface IdTable<T> {
  size(): number;
  get(id: number): T | undefined;
  /** Replaces what was there. */
  set(id: number, value: T): void;
  /** Answers what was there. */
  take(id: number): T | undefined;
  /** In no order that means anything. */
  entries(): (readonly [number, T])[];
}

/** Slots to begin with, a power of two: few calls are in flight most of the time. */
const FIRST_SLOTS = 16;

/** Open addressing with linear probing, at most half full; what is taken out is closed up, so that it keeps no traces of what was in it. */
export function createIdTable<T>(): IdTable<T> {
  let ids: number[] = new Array(FIRST_SLOTS).fill(0);
  let values: (T | undefined)[] = new Array(FIRST_SLOTS).fill(undefined);
  let mask = FIRST_SLOTS - 1;
  let size = 0;

  /** Of the id, or the free one where it belongs. */
  const slotOf = (id: number): number => {
    let slot = id & mask;
    while (values[slot] !== undefined && ids[slot] !== id) slot = (slot + 1) & mask;
    return slot;
  };

  const put = (id: number, value: T): void => {
    const slot = slotOf(id);
    if (values[slot] === undefined) size += 1;
    ids[slot] = id;
    values[slot] = value;
  };

  const entries = (): (readonly [number, T])[] =>
    values.flatMap((value, slot) => (value === undefined ? [] : [[ids[slot] ?? 0, value] as const]));

  const grow = (): void => {
    const all = entries();
    mask = mask * 2 + 1;
    ids = new Array(mask + 1).fill(0);
    values = new Array(mask + 1).fill(undefined);
    size = 0;
    for (const [id, value] of all) put(id, value);
  };

  /** Moves those back that were put behind the freed slot only because it was taken. */
  const closeUp = (freed: number): void => {
    let hole = freed;
    for (let slot = (hole + 1) & mask; values[slot] !== undefined; slot = (slot + 1) & mask) {
      const id = ids[slot] ?? 0;
      const isNearer = ((slot - id) & mask) < ((slot - hole) & mask);
      if (isNearer) continue;
      ids[hole] = id;
      values[hole] = values[slot];
      values[slot] = undefined;
      hole = slot;
    }
  };

  return {
    size: () => size,
    get: (id) => values[slotOf(id)],
    set(id, value) {
      if (size * 2 > mask) grow();
      put(id, value);
    },
    take(id) {
      const slot = slotOf(id);
      const value = values[slot];
      if (value === undefined) return undefined;
      values[slot] = undefined;
      size -= 1;
      closeUp(slot);
      return value;
    },
    entries,
  };
}
