// Which bridges of pools somebody else made, noted beside the namespaces: where one of them is gone, its owner may be about to make it
// anew, and one of ours in its place would keep him from it.
//
//   {"boot":"…","bridges":["br0"]}
import { interfaceName } from '../../shared/schema/names.ts';
import { openBootList } from './boot-list.ts';

export interface OthersBridges {
  has(bridge: string): boolean;
  /** On file when this returns. Throws NetFailure. */
  add(bridges: readonly string[]): void;
  /** Forgets all others. Throws NetFailure. */
  keep(bridges: readonly string[]): void;
}

/** `path` is a file of ours. */
export function openOthersBridges(path: string): OthersBridges {
  const bridges = openBootList(path, 'bridges', interfaceName, 'write down bridges that others made');
  return {
    has: (bridge) => bridges.list().includes(bridge),
    add(found) {
      const fresh = found.filter((bridge) => !bridges.list().includes(bridge));
      if (fresh.length > 0) bridges.replace([...bridges.list(), ...fresh]);
    },
    keep(named) {
      const kept = bridges.list().filter((bridge) => named.includes(bridge));
      if (kept.length < bridges.list().length) bridges.replace(kept);
    },
  };
}
