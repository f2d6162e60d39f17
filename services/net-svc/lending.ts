// The gateways of pools on bridges that somebody else made: noted before they are given, and taken back when no pool names them. In: pools,
// and what is noted; out: changes of the kernel, and addresses that have to stay.
import type { Pool } from '../../shared/schema/network.ts';
import { lookUp, lookUpIndex, withHost } from './host-links.ts';
import { isSameSubnet } from './interface-plan.ts';
import { isSameAddress, type LentAddresses } from './lent-addresses.ts';
import { isBridgeAlias } from './link-names.ts';
import type { Undo } from './net-failure.ts';
import { recording } from './netlink-socket.ts';
import { decodeAddress, deleteAddress, dumpAddresses, type InterfaceAddress, setAddress } from './rtnetlink-address.ts';
import type { Link } from './rtnetlink-link.ts';

export const prefixLengthOf = (pool: Pool): number => Number(pool.subnet.split('/')[1]);

/** What the pool's bridge has as address. */
export function gatewayOf(pool: Pool, { index }: Pick<Link, 'index'>): InterfaceAddress {
  return { linkIndex: index, address: pool.gateway, prefixLength: prefixLengthOf(pool) };
}

/** Notes an address that is about to be added to a bridge that we did not make, and registers its removal. */
export function lendAddress(
  pool: Pool,
  links: readonly Link[],
  addresses: readonly InterfaceAddress[],
  undo: Undo,
  lent: LentAddresses,
): void {
  const link = links.find((candidate) => candidate.name === pool.bridge);
  if (link === undefined || isBridgeAlias(link.alias)) return;
  const wanted = gatewayOf(pool, link);
  if (addresses.some(isSameAddress(wanted))) return;
  // Before it is there: a crash in between must not leave an address that nobody looks for.
  lent.add(wanted);
  const step = `remove address ${pool.gateway} of bridge ${pool.bridge}`;
  undo.add(step, () => {
    withHost((host) => {
      // What failed may have come before it was added.
      const isThere = host.dump('list addresses', dumpAddresses()).map(decodeAddress).some(isSameAddress(wanted));
      if (isThere) host.apply([{ step, message: deleteAddress(wanted) }]);
    });
    lent.drop(wanted);
  });
}

/** An address of ours that no pool names and that has to stay, each as `a.b.c.d/prefix`. */
export interface StayingAddress {
  readonly bridge: string;
  readonly address: string;
  /** Of others, and gone with it. */
  readonly holders: readonly string[];
}

/** Takes addresses that no pool names back from bridges of others; answers those that it cannot. Throws NetFailure. */
export function takeBackAddresses(
  pools: readonly Pool[],
  lent: LentAddresses,
  record: (step: string) => void = () => undefined,
): readonly StayingAddress[] {
  if (lent.list().length === 0) return [];
  return withHost((conversation) => {
    const host = recording(conversation, record);
    const staying: StayingAddress[] = [];
    const named = pools.flatMap((pool) => {
      const link = lookUp(host, pool.bridge);
      return link === undefined ? [] : [gatewayOf(pool, link)];
    });
    const present = host.dump('list addresses', dumpAddresses()).map(decodeAddress);
    const ours = lent.list();
    const stale = ours.filter((address) => !named.some(isSameAddress(address)));
    for (const own of stale.filter((address) => !present.some(isSameAddress(address)))) lent.drop(own);
    // The last first: each may go with one before it.
    for (const own of present.filter((address) => stale.some(isSameAddress(address))).reverse()) {
      const along = goingAlong(own, present);
      const others = along.filter((address) => !ours.some(isSameAddress(address)));
      if (others.length > 0) {
        const bridge = lookUpIndex(host, own.linkIndex)?.name ?? 'a bridge';
        staying.push({ bridge, address: textOf(own), holders: others.map(textOf) });
        continue;
      }
      host.apply([
        { step: `remove address ${textOf(own)} that no pool uses`, message: deleteAddress(own) },
        ...along
          .filter((address) => named.some(isSameAddress(address)))
          .map((kept) => ({ step: `put back address ${textOf(kept)} that went with it`, message: setAddress(kept) })),
      ]);
      lent.drop(own);
    }
    return staying;
  });
}

const textOf = ({ address, prefixLength }: InterfaceAddress): string => `${address}/${prefixLength}`;

/** The kernel deletes addresses of the same subnet with the first of them. `present` in the kernel's order. */
function goingAlong(own: InterfaceAddress, present: readonly InterfaceAddress[]): readonly InterfaceAddress[] {
  return present
    .slice(present.findIndex(isSameAddress(own)) + 1)
    .filter((other) => other.linkIndex === own.linkIndex && isSameSubnet(own)(other));
}
