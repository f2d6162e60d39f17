// What pools that cannot be had yet wait for: their parent, or that the machine leaves their subnet. In: the pools, whenever something of the
// machine may have changed; out: that it did, for whoever asks for them again.
import type { Pool } from '../../shared/schema/network.ts';
import type { HostOverlaps } from './host-overlap.ts';
import { missingParents } from './macvlan-parents.ts';

export interface AwaitedPools {
  /**
   * `made`: those that stand, as far as that goes without a parent; `leftOut`: those in the machine's way. Asks the kernel nothing where
   * there is nothing to wait for. Throws NetFailure.
   */
  look(made: readonly Pool[], leftOut: readonly Pool[]): void;
}

/** `announce` hears of each change, and once at first: of what was before a restart nothing is known here. */
export function createAwaitedPools(overlaps: Pick<HostOverlaps, 'inTheWay'>, announce: () => void): AwaitedPools {
  let known: string | undefined;
  return {
    look(made, leftOut) {
      const ofLeftOut = ({ pool }: { readonly pool: string }): boolean => leftOut.some(({ name }) => name === pool);
      const found = leftOut.length === 0 ? [] : overlaps.inTheWay([...made, ...leftOut]).filter(ofLeftOut);
      const now = JSON.stringify([missingParents(made), found]);
      if (now === known) return;
      known = now;
      announce();
    },
  };
}
