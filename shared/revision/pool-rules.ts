// The rules that the pools of a revision keep, each alone and all together; the same function for `berth check` and for ipam-svc's door.
import { formatIpv4, parseIpv4 } from '../ipv4/address.ts';
import { parseSubnet, type Subnet, subnetContains, subnetsOverlap } from '../ipv4/subnet.ts';
import { interfaceName, poolName } from '../schema/names.ts';
import type { Pool } from '../schema/network.ts';
import type { Problem } from './revision.ts';

/** Shorter than /8 is more than one private range (RFC 1918); longer than /30 leaves no address beside the gateway (RFC 3021's /31 has no broadcast). */
const SHORTEST_PREFIX = 8;
const LONGEST_PREFIX = 30;

/** Each is held against all others, and is a bridge of the machine. */
const MAX_POOLS = 256;

export interface PoolAt {
  /** JSON path of the pool, e.g. `device.json.network.pools.internal`. */
  readonly path: string;
  readonly pool: Pool;
}

/**
 * Every problem of these pools, in their order; empty when they may be used together. Codes: TOO_MANY_POOLS, BAD_POOL_NAME, DUPLICATE_POOL,
 * BAD_POOL_TYPE, BAD_BRIDGE, DUPLICATE_BRIDGE, BAD_SUBNET, SUBNET_HOST_BITS, BAD_PREFIX, OVERLAPPING_SUBNETS, BAD_GATEWAY,
 * GATEWAY_OUTSIDE, GATEWAY_UNUSABLE. Fields that break their schema are reported too, so it may be used before parsing is strict.
 */
export function checkPools(pools: readonly PoolAt[]): Problem[] {
  const extra = pools[MAX_POOLS];
  if (extra !== undefined) {
    const message = `pool '${extra.pool.name}' is one too many of ${pools.length}; a device has at most ${MAX_POOLS}`;
    return [{ path: extra.path, code: 'TOO_MANY_POOLS', message }];
  }
  const alone = pools.flatMap((at) => [...checkNames(at), ...checkSubnet(at)]);
  return [...alone, ...checkTogether(pools)];
}

/** The key of device.json that `bridge` came from. */
function linkKey({ type }: Pool): 'bridge' | 'parent' {
  return type === 'macvlan' ? 'parent' : 'bridge';
}

function checkNames({ path, pool }: PoolAt): Problem[] {
  const problems: Problem[] = [];
  if (!poolName.safeParse(pool.name).success) {
    problems.push({
      path,
      code: 'BAD_POOL_NAME',
      message: `pool name '${pool.name}' is not 1–63 of A-Z a-z 0-9 . _ -, starting with a letter or digit`,
    });
  }
  if (pool.type !== 'bridge' && pool.type !== 'macvlan') {
    problems.push({
      path: `${path}.type`,
      code: 'BAD_POOL_TYPE',
      message: `pool '${pool.name}' has type '${String(pool.type)}'; the known types are 'bridge' and 'macvlan'`,
    });
  }
  if (!interfaceName.safeParse(pool.bridge).success) {
    problems.push({
      path: `${path}.${linkKey(pool)}`,
      code: 'BAD_BRIDGE',
      message: `'${pool.bridge}' is no interface name: 1–15 of A-Z a-z 0-9 _ . -, and neither "." nor ".."`,
    });
  }
  if (pool.bridge === 'lo') {
    const message = `'lo' is the loopback interface and can be no ${linkKey(pool)}; name ${pool.type === 'macvlan' ? 'the link to the network, such as eth0' : 'another, such as pvbr0'}`;
    problems.push({ path: `${path}.${linkKey(pool)}`, code: 'BAD_BRIDGE', message });
  }
  return problems;
}

function checkSubnet({ path, pool }: PoolAt): Problem[] {
  const parsed = parseSubnet(pool.subnet);
  const gateway = checkGateway(path, pool, parsed.ok ? parsed.subnet : undefined);
  const at = `${path}.subnet`;
  if (!parsed.ok && parsed.aligned === undefined) {
    const message = `'${pool.subnet}' is no IPv4 subnet; write a.b.c.d/prefix`;
    return [{ path: at, code: 'BAD_SUBNET', message }, ...gateway];
  }
  if (!parsed.ok) {
    const message = `'${pool.subnet}' has host bits set; did you mean ${parsed.aligned}?`;
    return [{ path: at, code: 'SUBNET_HOST_BITS', message }, ...gateway];
  }
  const { prefixLength } = parsed.subnet;
  if (prefixLength >= SHORTEST_PREFIX && prefixLength <= LONGEST_PREFIX) return gateway;
  const message = `'${pool.subnet}' has prefix /${prefixLength}; it must be /${SHORTEST_PREFIX} to /${LONGEST_PREFIX}`;
  return [{ path: at, code: 'BAD_PREFIX', message }, ...gateway];
}

function checkGateway(path: string, pool: Pool, subnet: Subnet | undefined): Problem[] {
  const at = `${path}.gateway`;
  const gateway = parseIpv4(pool.gateway);
  if (gateway === undefined) {
    return [{ path: at, code: 'BAD_GATEWAY', message: `'${pool.gateway}' is no IPv4 address; write a.b.c.d` }];
  }
  if (subnet === undefined || subnet.prefixLength > LONGEST_PREFIX) return [];
  const example = formatIpv4(subnet.first + 1);
  if (!subnetContains(subnet, gateway)) {
    const message = `gateway ${pool.gateway} is outside ${pool.subnet}; take one inside, such as ${example}`;
    return [{ path: at, code: 'GATEWAY_OUTSIDE', message }];
  }
  if (gateway !== subnet.first && gateway !== subnet.last) return [];
  const kind = gateway === subnet.first ? 'network' : 'broadcast';
  const message = `gateway ${pool.gateway} is the ${kind} address of ${pool.subnet}; take another, such as ${example}`;
  return [{ path: at, code: 'GATEWAY_UNUSABLE', message }];
}

/** Each pool against those before it, so that a pair is reported once, at the later one. */
function checkTogether(pools: readonly PoolAt[]): Problem[] {
  return pools.flatMap((later, index) => pools.slice(0, index).flatMap((earlier) => checkPair(earlier, later)));
}

function checkPair(earlier: PoolAt, later: PoolAt): Problem[] {
  const problems: Problem[] = [];
  const name = earlier.pool.name;
  if (name === later.pool.name) {
    problems.push({ path: later.path, code: 'DUPLICATE_POOL', message: `pool '${name}' is there already` });
  }
  const bothMacvlan = earlier.pool.type === 'macvlan' && later.pool.type === 'macvlan';
  if (earlier.pool.bridge === later.pool.bridge && !bothMacvlan) {
    const key = linkKey(later.pool);
    const { bridge } = later.pool;
    const message =
      earlier.pool.type === later.pool.type
        ? `bridge '${bridge}' belongs to pool '${name}' already; every pool needs its own`
        : `'${bridge}' is the ${linkKey(earlier.pool)} of pool '${name}', and a macvlan's parent is a link of the machine's own; name another ${key}`;
    problems.push({ path: `${later.path}.${key}`, code: 'DUPLICATE_BRIDGE', message });
  }
  const a = parseSubnet(earlier.pool.subnet);
  const b = parseSubnet(later.pool.subnet);
  if (a.ok && b.ok && subnetsOverlap(a.subnet, b.subnet)) {
    const message = `${later.pool.subnet} overlaps ${earlier.pool.subnet} of pool '${name}'; every pool needs a range of its own`;
    problems.push({ path: `${later.path}.subnet`, code: 'OVERLAPPING_SUBNETS', message });
  }
  return problems;
}
