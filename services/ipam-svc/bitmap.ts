// A set of small integers that answers "which is the lowest?" in a handful of word reads, however full or empty it is.

/** Bits of a word; five bits of an index choose one. */
const WORD_BITS = 32;

export interface Bitmap {
  /** Members are 0 … size-1. */
  readonly size: number;
  has(index: number): boolean;
  add(index: number): void;
  /** Whether it was a member. */
  delete(index: number): boolean;
  /** The lowest member, or undefined when there is none. */
  lowest(): number | undefined;
  count(): number;
}

/**
 * `full` starts with every index a member. Level 0 holds the members, a bit of level n+1 says that a word of level n is not 0:
 * 4 levels reach 2^20, 5 reach a /8's 2^24, and they cost 1/31 more memory than the members alone.
 */
export function createBitmap(size: number, full: boolean): Bitmap {
  const levels = [filledLevel(size, full)];
  for (let top = levels[0]; top !== undefined && top.length > 1; top = levels.at(-1)) {
    levels.push(filledLevel(top.length, full));
  }
  let count = full ? size : 0;

  const has = (index: number): boolean => ((wordAt(levels[0], index >>> 5) >>> (index & 31)) & 1) === 1;

  function add(index: number): void {
    if (has(index)) return;
    count += 1;
    let at = index;
    for (const level of levels) {
      const word = wordAt(level, at >>> 5);
      level[at >>> 5] = word | (1 << (at & 31));
      if (word !== 0) return;
      at >>>= 5;
    }
  }

  function remove(index: number): boolean {
    if (!has(index)) return false;
    count -= 1;
    let at = index;
    for (const level of levels) {
      const word = wordAt(level, at >>> 5) & ~(1 << (at & 31));
      level[at >>> 5] = word;
      if (word !== 0) break;
      at >>>= 5;
    }
    return true;
  }

  function lowest(): number | undefined {
    if (count === 0) return undefined;
    let at = 0;
    for (let depth = levels.length - 1; depth >= 0; depth -= 1) {
      const word = wordAt(levels[depth], at);
      at = at * WORD_BITS + (31 - Math.clz32(word & -word));
    }
    return at;
  }

  return { size, has, add, delete: remove, lowest, count: () => count };
}

function filledLevel(bits: number, full: boolean): Uint32Array {
  const level = new Uint32Array(Math.ceil(bits / WORD_BITS));
  if (!full) return level;
  level.fill(0xffffffff);
  const rest = bits % WORD_BITS;
  if (rest !== 0) level[level.length - 1] = 2 ** rest - 1;
  return level;
}

function wordAt(level: Uint32Array | undefined, index: number): number {
  return level?.[index] ?? 0;
}
