// Finds the slot of a table by the hash of its key: 8 bytes a slot and more, and nothing for the garbage collector. Pure.

export interface SlotIndex {
  /** A slot with this hash, and the one meant where two keys may have one hash. */
  find(hash: number, isMeant?: (slot: number) => boolean): number | undefined;
  /** Its hash stays the same as long as it is here. */
  add(slot: number): void;
  delete(slot: number): void;
  count(): number;
}

const FIRST_BITS = 5;
/** Few and large steps: what is there is put in anew at each. */
const GROWTH_BITS = 2;
/** Fibonacci hashing (Knuth, TAOCP 3, 6.4): 2^32 / φ spreads keys that follow each other, and its highest bits depend on all of the key's. */
const SPREAD = 0x9e3779b1;

/** Open addressing with linear probing (Knuth, 6.4, algorithms L and R), at most half full. A hash is any number that two slots rarely share. */
export function createSlotIndex(hashAt: (slot: number) => number): SlotIndex {
  let bits = FIRST_BITS;
  /** Each place's slot + 1; 0 is an empty one. */
  let places = new Uint32Array(2 ** bits);
  let count = 0;

  const homeOf = (hash: number): number => Math.imul(hash, SPREAD) >>> (32 - bits);
  const slotAt = (place: number): number => (places[place] ?? 0) - 1;

  function put(slot: number): void {
    const mask = places.length - 1;
    let place = homeOf(hashAt(slot));
    while (places[place] !== 0) place = (place + 1) & mask;
    places[place] = slot + 1;
  }

  function grow(): void {
    const before = places;
    bits += GROWTH_BITS;
    places = new Uint32Array(2 ** bits);
    for (const held of before) if (held !== 0) put(held - 1);
  }

  /** What stands behind the gap because of what was in it moves up, so that no search ends there. */
  function closeGap(from: number): void {
    const mask = places.length - 1;
    let gap = from;
    for (let place = (gap + 1) & mask; places[place] !== 0; place = (place + 1) & mask) {
      const home = homeOf(hashAt(slotAt(place)));
      if (((place - home) & mask) < ((place - gap) & mask)) continue;
      places[gap] = places[place] ?? 0;
      gap = place;
    }
    places[gap] = 0;
  }

  return {
    find(hash, isMeant) {
      const mask = places.length - 1;
      for (let place = homeOf(hash); places[place] !== 0; place = (place + 1) & mask) {
        const slot = slotAt(place);
        if (hashAt(slot) === hash && (isMeant === undefined || isMeant(slot))) return slot;
      }
      return undefined;
    },
    add(slot) {
      if (2 * (count + 1) > places.length) grow();
      count += 1;
      put(slot);
    },
    delete(slot) {
      const mask = places.length - 1;
      for (let place = homeOf(hashAt(slot)); places[place] !== 0; place = (place + 1) & mask) {
        if (slotAt(place) !== slot) continue;
        count -= 1;
        closeGap(place);
        return;
      }
    },
    count: () => count,
  };
}
