// Chance that can be repeated: the same seed gives the same draws in the same order.

export interface Dice {
  /** In [0, 1). */
  draw(): number;
  /** A whole number in [0, below). */
  below(below: number): number;
  /** One of them; `choices` is not empty. */
  pick<T>(choices: readonly [T, ...T[]]): T;
}

/** mulberry32: 32 bits of state, any seed will do. */
export function dice(seed: number): Dice {
  let state = seed >>> 0;
  const draw = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (limit: number): number => Math.floor(draw() * limit);
  return { draw, below, pick: (choices) => choices[below(choices.length)] ?? choices[0] };
}
