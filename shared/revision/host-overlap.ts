// A pool's subnet against what the machine itself uses: addresses, routes, name servers. A pool that hides one of them cuts the
// device off from it, so such a pool is refused when a revision is loaded. Pure: whoever reads the machine is elsewhere.
import { type Ipv4, mustParseIpv4 } from '../ipv4/address.ts';
import { mustParseSubnet, parseSubnet, type Subnet, subnetsOverlap } from '../ipv4/subnet.ts';
import type { Pool } from '../schema/network.ts';

/** Something of the machine that is not a pool's own: the caller leaves out the bridges of pools. */
export interface HostSubnet {
  /** For people: `route 10.0.0.0/8 by wg0`. */
  readonly name: string;
  readonly subnet: Subnet;
  /** Its address, where it is a name server. */
  readonly server?: string;
}

export interface Overlap {
  readonly pool: string;
  readonly subnet: string;
  /** The `name` of what it overlaps. */
  readonly with: string;
  /** The name server that it overlaps. */
  readonly server?: string | undefined;
}

/** Overlaps that are told per pool; a machine in a large network has hundreds of routes. */
const MAX_PER_POOL = 4;

/** VPNs take everything by a route for each half, 0.0.0.0/1 and 128.0.0.0/1, and leave 0.0.0.0/0 as it was. */
const DEFAULT_ROUTE_BITS = 1;

/**
 * In the order of the pools. A default route overlaps nothing: it is for all that has no other. A name server at a pool's own gateway
 * is a server on this machine that listens on the bridge.
 */
export function overlapsWithHost(
  pools: readonly Pick<Pool, 'name' | 'subnet' | 'gateway'>[],
  host: readonly HostSubnet[],
): readonly Overlap[] {
  return pools.flatMap(({ name, subnet: text, gateway }) => {
    const subnet = mustParseSubnet(text);
    const own = mustParseIpv4(gateway);
    return host
      .filter((other) => other.subnet.prefixLength > DEFAULT_ROUTE_BITS && subnetsOverlap(subnet, other.subnet))
      .filter((other) => !isAddress(other.subnet, own))
      .slice(0, MAX_PER_POOL)
      .map(({ name: other, server }) => ({
        pool: name,
        subnet: text,
        with: other,
        ...(server === undefined ? {} : { server }),
      }));
  });
}

function isAddress({ first, prefixLength }: Subnet, address: Ipv4): boolean {
  return prefixLength === 32 && first === address;
}

/** One sentence, with the way out. */
export function overlapMessage({ pool, subnet, with: other }: Overlap): string {
  return `pool '${pool}' has ${subnet}, which overlaps this machine's ${other}; give the pool another subnet`;
}

/** The IPv4 name servers of a resolv.conf(5); lines that it does not know are nothing. */
export function nameServersOf(resolvConf: string): readonly HostSubnet[] {
  const found = resolvConf.matchAll(/^nameserver[ \t]+(\S+)[ \t]*$/gm);
  return [...found].flatMap(([, address = '']) => {
    const parsed = parseSubnet(`${address}/32`);
    return parsed.ok ? [{ name: `name server ${address}`, subnet: parsed.subnet, server: address }] : [];
  });
}
