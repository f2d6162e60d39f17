// What `configure` is told beside its own message: a revision of hundreds of fixed addresses fits none. Kept until it is taken. Pure.
import type { Configuration } from './journal-format.ts';

export type Part = Pick<Configuration, 'reservations' | 'interfaces'>;

export interface PreparedParts {
  /** The same part again replaces it. A set that was not taken gives way to another one. */
  add(set: number, index: number, part: Part): void;
  /** All parts in order; undefined when not all of them are there, as after a restart. Either way they are forgotten. */
  take(set: number, count: number): readonly Part[] | undefined;
}

export function createPreparedParts(): PreparedParts {
  let current: number | undefined;
  let parts = new Map<number, Part>();
  return {
    add(set, index, part) {
      if (set !== current) parts = new Map();
      current = set;
      parts.set(index, part);
    },
    take(set, count) {
      const taken = set === current ? parts : new Map<number, Part>();
      current = undefined;
      parts = new Map();
      const inOrder = Array.from({ length: count }, (_, index) => taken.get(index));
      return inOrder.every((part) => part !== undefined) ? inOrder : undefined;
    },
  };
}

/** In the order of the parts. Interfaces are told where any of them tells some, if only that there are none. */
export function joined(parts: readonly Part[]): Part {
  const reservations = parts.flatMap((part) => part.reservations);
  const told = parts.map(({ interfaces }) => interfaces).filter((each) => each !== undefined);
  if (told.length === 0) return { reservations };
  const byPool: Record<string, Record<string, string | null>> = {};
  for (const interfaces of told) {
    for (const [pool, its] of Object.entries(interfaces)) byPool[pool] = Object.assign(byPool[pool] ?? {}, its);
  }
  return { reservations, interfaces: byPool };
}
