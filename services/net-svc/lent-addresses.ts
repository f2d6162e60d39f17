// Addresses that we gave to bridges of somebody else's, noted beside the namespaces: such a bridge is not deleted with its pool, so they are
// taken back one by one.
//
//   {"boot":"…","addresses":[{"linkIndex":7,"address":"10.0.3.1","prefixLength":24}]}
import * as z from 'zod/mini';
import { ipv4 } from '../../shared/schema/names.ts';
import { openBootList } from './boot-list.ts';
import type { InterfaceAddress } from './rtnetlink-address.ts';

const lentAddress = z.strictObject({ linkIndex: z.int(), address: ipv4, prefixLength: z.int() });

export interface LentAddresses {
  list(): readonly InterfaceAddress[];
  /** About to be given: it is on file when this returns. Throws NetFailure. */
  add(address: InterfaceAddress): void;
  /** Not there any more. Throws NetFailure. */
  drop(address: InterfaceAddress): void;
}

export const isSameAddress =
  (one: InterfaceAddress) =>
  (other: InterfaceAddress): boolean =>
    one.linkIndex === other.linkIndex && one.address === other.address && one.prefixLength === other.prefixLength;

/** `path` is a file of ours. */
export function openLentAddresses(path: string): LentAddresses {
  const addresses = openBootList(path, 'addresses', lentAddress, 'write down addresses of bridges that others made');
  return {
    list: addresses.list,
    add({ linkIndex, address, prefixLength }) {
      const added = { linkIndex, address, prefixLength };
      if (!addresses.list().some(isSameAddress(added))) addresses.replace([...addresses.list(), added]);
    },
    drop(address) {
      addresses.replace(addresses.list().filter((other) => !isSameAddress(address)(other)));
    },
  };
}
