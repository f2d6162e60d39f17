// Addresses that we gave to bridges of somebody else's, noted beside the namespaces: such a bridge is not deleted with its pool, so they are
// taken back one by one. Of this boot only, as they are themselves. No file: none.
//
//   {"boot":"…","addresses":[{"linkIndex":7,"address":"10.0.3.1","prefixLength":24}]}
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import * as z from 'zod/mini';
import { ipv4 } from '../../shared/schema/names.ts';
import { attempt } from './net-failure.ts';
import type { InterfaceAddress } from './rtnetlink-address.ts';

const document = z.strictObject({
  boot: z.string(),
  addresses: z.array(z.strictObject({ linkIndex: z.int(), address: ipv4, prefixLength: z.int() })),
});

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
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  let addresses = read(path, boot);

  const change = (wanted: readonly InterfaceAddress[]): void => {
    attempt('write down addresses of bridges that others made', () => {
      if (wanted.length === 0) {
        for (const name of [path, `${path}.new`]) rmSync(name, { force: true });
      } else {
        writeFileSync(`${path}.new`, JSON.stringify({ boot, addresses: wanted }), { mode: 0o600 });
        renameSync(`${path}.new`, path);
      }
    });
    addresses = wanted;
  };

  return {
    list: () => addresses,
    add({ linkIndex, address, prefixLength }) {
      const added = { linkIndex, address, prefixLength };
      if (!addresses.some(isSameAddress(added))) change([...addresses, added]);
    },
    drop(address) {
      change(addresses.filter((other) => !isSameAddress(address)(other)));
    },
  };
}

/** What cannot be understood names nothing that is ours to delete. */
function read(path: string, boot: string): readonly InterfaceAddress[] {
  try {
    const found = document.parse(JSON.parse(readFileSync(path, 'utf8')));
    return found.boot === boot ? found.addresses : [];
  } catch {
    return [];
  }
}
