// A container's network block: which of its two spellings it uses, and what of it breaks a rule of its pools.
import { formatIpv4, type Ipv4, parseIpv4 } from '../ipv4/address.ts';
import { parseSubnet, type Subnet, subnetContains } from '../ipv4/subnet.ts';
import type { LxcEntry } from '../lxc-config/entry.ts';
import { interfaceName, unicastMac } from '../schema/names.ts';
import type { Pool } from '../schema/network.ts';
import type { Device } from './device-document.ts';
import type { NetworkPlan, PoolInterface, Problem } from './revision.ts';
import type { NetworkDocument } from './run-document.ts';
import { shown } from './schema-problems.ts';

/** JSON paths of an interface's keys. */
export interface InterfacePlace {
  readonly address: string;
  readonly mac: string;
}

export interface NetworkOf {
  readonly plan: NetworkPlan;
  /** One for each interface of the plan. */
  readonly places: readonly InterfacePlace[];
  readonly problems: readonly Problem[];
}

/** An interface as either spelling writes it. */
interface Written {
  readonly path: string;
  readonly interface: string;
  readonly pool: string | undefined;
  /** Without its prefix. */
  readonly address: string | undefined;
  /** As it is written behind the slash; undefined: there is none. */
  readonly prefix: string | undefined;
  readonly addressKey: string;
  readonly mac: string | undefined;
  readonly macKey: string;
}

/**
 * `baked`: the container's own `lxc.net.*` lines. Codes: NETWORK_BOTH_FORMS, NETWORK_MODE, NO_INTERFACE, POOL_MISSING,
 * UNKNOWN_POOL, BAD_INTERFACE, DUPLICATE_INTERFACE, BAD_ADDRESS, ADDRESS_PREFIX, ADDRESS_OUTSIDE, ADDRESS_UNUSABLE, BAD_MAC, MAC_DERIVED,
 * POOL_AND_BAKED.
 */
export function planNetwork(
  container: string,
  document: NetworkDocument | undefined,
  device: Pick<Device, 'pools' | 'poolNames'>,
  baked: readonly LxcEntry[],
): NetworkOf {
  const path = `${container}/run.json.network`;
  const mode = document?.mode ?? impliedMode(document);
  if (document === undefined) return { plan: { mode: 'legacy' }, places: [], problems: [] };
  if (mode !== 'pool') {
    return { plan: { mode: mode ?? 'legacy' }, places: [], problems: uselessKeys(document, path, mode) };
  }
  const written = writtenInterfaces(document, path);
  const problems = [
    ...formProblems(document, path),
    ...written.flatMap((each) => checkInterface(container, each, device)),
    ...duplicateNames(written),
    ...baked.map((entry) => bakedProblem(container, entry)),
  ];
  const placed = written.filter(({ pool }) => pool !== undefined);
  const interfaces = placed.map(
    ({ interface: name, pool = '', address, mac }): PoolInterface => ({
      interface: name,
      pool,
      address,
      mac: mac?.toLowerCase(),
    }),
  );
  const places = placed.map((each) => ({
    address: `${each.path}.${each.addressKey}`,
    mac: `${each.path}.${each.macKey}`,
  }));
  return { plan: { mode: 'pool', interfaces }, places, problems };
}

function impliedMode(document: NetworkDocument | undefined): 'pool' | undefined {
  return document?.pool !== undefined || document?.interfaces !== undefined ? 'pool' : undefined;
}

/** Whoever writes an address expects to get it. */
function uselessKeys(document: NetworkDocument, path: string, mode: 'host' | 'none' | undefined): readonly Problem[] {
  const keys = (['pool', 'interfaces', 'ip', 'mac'] as const).filter((key) => document[key] !== undefined);
  if (keys.length === 0) return [];
  const message =
    mode === undefined
      ? `${keys.join(' and ')} without a pool; name one with 'pool'`
      : `mode '${mode}' and a pool's keys (${keys.join(', ')}) exclude each other; remove one of them`;
  return [{ path: `${path}.${mode === undefined ? keys[0] : 'mode'}`, code: 'NETWORK_MODE', message }];
}

function writtenInterfaces(document: NetworkDocument, path: string): readonly Written[] {
  const keys = { addressKey: 'ipv4_address', macKey: 'mac_address' };
  if (document.interfaces !== undefined) {
    return document.interfaces.map((each, index) => ({
      path: `${path}.interfaces.${index}`,
      interface: each.name ?? `eth${index}`,
      pool: each.pool ?? document.pool,
      ...splitAddress(each.ipv4_address),
      mac: each.mac_address,
      ...keys,
    }));
  }
  const { pool, ip, mac } = document;
  return [{ path, interface: 'eth0', pool, ...splitAddress(ip), mac, addressKey: 'ip', macKey: 'mac' }];
}

/** People write the prefix of the subnet behind an address, as `ip addr` shows it. */
function splitAddress(written: string | undefined): Pick<Written, 'address' | 'prefix'> {
  const slash = written?.indexOf('/') ?? -1;
  if (slash === -1) return { address: written, prefix: undefined };
  return { address: written?.slice(0, slash), prefix: written?.slice(slash + 1) };
}

function formProblems({ interfaces, ip, mac }: NetworkDocument, path: string): readonly Problem[] {
  if (interfaces?.length === 0) {
    return [{ path: `${path}.interfaces`, code: 'NO_INTERFACE', message: 'is empty; name an interface or remove it' }];
  }
  if (interfaces === undefined || (ip === undefined && mac === undefined)) return [];
  const message = 'has ip or mac beside interfaces; write them into interfaces[].ipv4_address and mac_address';
  return [{ path, code: 'NETWORK_BOTH_FORMS', message }];
}

function checkInterface(
  container: string,
  written: Written,
  { pools, poolNames }: Pick<Device, 'pools' | 'poolNames'>,
): readonly Problem[] {
  const { path, pool: name, mac, macKey } = written;
  const problems: Problem[] = [];
  if (!interfaceName.safeParse(written.interface).success || written.interface === 'lo') {
    const message = `'${written.interface}' is no interface name: 1–15 of A-Z a-z 0-9 _ . -, and not lo`;
    problems.push({ path: `${path}.name`, code: 'BAD_INTERFACE', message });
  }
  // All zeros is no address either: is_valid_ether_addr() in linux/etherdevice.h.
  if (mac !== undefined && (!unicastMac.safeParse(mac.toLowerCase()).success || /^[0:]+$/.test(mac))) {
    const message = `'${mac}' is no unicast MAC address; write xx:xx:xx:xx:xx:xx with an even first octet`;
    problems.push({ path: `${path}.${macKey}`, code: 'BAD_MAC', message });
  }
  const pool = pools.find((candidate) => candidate.name === name);
  if (name === undefined) {
    problems.push({
      path: `${path}.pool`,
      code: 'POOL_MISSING',
      message: 'is missing; mode pool needs the name of one',
    });
  } else if (!poolNames.has(name)) {
    const known = poolNames.size === 0 ? 'device.json has none' : `device.json has ${[...poolNames].join(', ')}`;
    const message = `container '${container}' references unknown pool '${name}', refusing to start; ${known}`;
    problems.push({ path: `${path}.pool`, code: 'UNKNOWN_POOL', message });
  } else if (pool !== undefined) {
    problems.push(...checkAddress(container, written, pool), ...checkDerived(written, pool));
  }
  return problems;
}

function checkAddress(
  container: string,
  { path, address, prefix, addressKey }: Written,
  pool: Pool,
): readonly Problem[] {
  if (address === undefined) return [];
  const at = `${path}.${addressKey}`;
  const number = parseIpv4(address);
  if (number === undefined) {
    return [{ path: at, code: 'BAD_ADDRESS', message: `${shown(address)} is no IPv4 address; write a.b.c.d` }];
  }
  const parsed = parseSubnet(pool.subnet);
  // The pool itself is reported where it stands.
  if (!parsed.ok) return [];
  const { subnet } = parsed;
  const range = usableRange(subnet, parseIpv4(pool.gateway));
  if (!subnetContains(subnet, number)) {
    const message = `static address ${address} of '${container}' is outside ${pool.subnet} of pool '${pool.name}'; take one of ${range}`;
    return [{ path: at, code: 'ADDRESS_OUTSIDE', message }];
  }
  if (prefix !== undefined && prefix !== String(subnet.prefixLength)) {
    const message = `${shown(`${address}/${prefix}`)} of '${container}' is not of ${pool.subnet}, the subnet of pool '${pool.name}'; write ${address}/${subnet.prefixLength}`;
    return [{ path: at, code: 'ADDRESS_PREFIX', message }];
  }
  const taken = new Map([
    [subnet.first, 'network address'],
    [subnet.last, 'broadcast address'],
    [parseIpv4(pool.gateway), 'gateway'],
  ]).get(number);
  if (taken === undefined) return [];
  const message = `static address ${address} of '${container}' is the ${taken} of pool '${pool.name}'; take another of ${range}`;
  return [{ path: at, code: 'ADDRESS_UNUSABLE', message }];
}

/** What containers may have, in words: the gateway is left out. */
function usableRange({ first, last }: Subnet, gateway: Ipv4 | undefined): string {
  const from = gateway === first + 1 ? first + 2 : first + 1;
  const to = gateway === last - 1 ? last - 2 : last - 1;
  const inside = gateway !== undefined && gateway > from && gateway < to;
  const range = from === to ? formatIpv4(from) : `${formatIpv4(from)}–${formatIpv4(to)}`;
  return inside ? `${range} but ${formatIpv4(gateway)}` : range;
}

/** `02:00:` and four octets is what the holder of that address gets (macOf), who need not be there yet. */
function checkDerived({ path, mac, macKey, address }: Written, pool: Pool): readonly Problem[] {
  const octets = /^02:00:(..):(..):(..):(..)$/.exec(mac?.toLowerCase() ?? '')?.slice(1);
  const owner = octets?.map((octet) => Number.parseInt(octet, 16)).join('.');
  const number = parseIpv4(owner ?? '');
  const parsed = parseSubnet(pool.subnet);
  if (number === undefined || owner === address || !parsed.ok || !subnetContains(parsed.subnet, number)) return [];
  const message = `'${mac}' is the MAC address of whoever holds ${owner} in pool '${pool.name}'; take another, or remove it`;
  return [{ path: `${path}.${macKey}`, code: 'MAC_DERIVED', message }];
}

function duplicateNames(written: readonly Written[]): readonly Problem[] {
  const seen = new Set<string>();
  return written.flatMap(({ path, interface: name }) => {
    if (seen.size !== seen.add(name).size) return [];
    return [{ path: `${path}.name`, code: 'DUPLICATE_INTERFACE', message: `interface '${name}' is there already` }];
  });
}

function bakedProblem(container: string, { key, value, line, source }: LxcEntry): Problem {
  const message = `container '${container}' has a pool and bakes its network too; remove the line "${key} = ${value}" or the pool`;
  return { path: `${source}:${line}`, code: 'POOL_AND_BAKED', message };
}
