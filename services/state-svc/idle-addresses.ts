// IPv4 addresses of interfaces that carry nothing right now, as a pool's bridge without containers: os.networkInterfaces() leaves them out,
// and the kernel tells whoever has no netlink socket of addresses and of networks, each in a file of its own. Pure.
import { type Ipv4, parseIpv4 } from '../../shared/ipv4/address.ts';

interface ConnectedNetwork {
  readonly link: string;
  readonly base: Ipv4;
  readonly mask: number;
}

/** RTF_UP, RTF_GATEWAY and RTF_REJECT (linux/route.h); the last is of an unreachable network, of no interface (`*`). */
const UP = 1;
const GATEWAY = 2;
const REJECT = 0x200;
const LOOPBACK = 127;

/**
 * Networks that interfaces are connected to, the smallest first, by /proc/net/route: a line of tab-separated fields a route, addresses in
 * hexadecimal digits as the machine has them in memory.
 */
export function connectedNetworks(routes: string, endianness: 'BE' | 'LE'): readonly ConnectedNetwork[] {
  const lines = routes.split('\n').slice(1);
  const networks = lines.flatMap((line) => {
    const [link = '', destination = '', , flags = '', , , , mask = ''] = line.split('\t');
    const isConnected = (Number.parseInt(flags, 16) & (UP | GATEWAY | REJECT)) === UP;
    if (!isConnected) return [];
    const network = { link, base: addressOf(destination, endianness), mask: addressOf(mask, endianness) };
    // A default route straight to an interface says nothing of whose addresses are that interface's.
    return network.mask === 0 ? [] : [network];
  });
  return networks.sort((a, b) => b.mask - a.mask);
}

function addressOf(digits: string, endianness: 'BE' | 'LE'): Ipv4 {
  const bytes = Buffer.from(digits, 'hex');
  return (endianness === 'LE' ? bytes.reverse() : bytes).readUInt32BE();
}

/**
 * Of each interface of these networks, the machine's own addresses there. `trie`: /proc/net/fib_trie, where `|-- a.b.c.d` is followed by
 * what the tables have for it.
 */
export function addressesIn(
  networks: readonly ConnectedNetwork[],
  trie: string,
): ReadonlyMap<string, ReadonlySet<string>> {
  const found = new Map<string, Set<string>>();
  let address = '';
  for (const line of trie.split('\n')) {
    const [, leaf] = /\|-- ([0-9.]+)$/.exec(line) ?? [];
    address = leaf ?? address;
    if (leaf !== undefined || !line.trim().startsWith('/32 host LOCAL')) continue;
    const number = parseIpv4(address);
    // A bit operation answers a signed number.
    if (number === undefined || number >>> 24 === LOOPBACK) continue;
    const network = networks.find(({ base, mask }) => (number & mask) >>> 0 === base);
    if (network === undefined) continue;
    found.set(network.link, (found.get(network.link) ?? new Set()).add(address));
  }
  return found;
}
