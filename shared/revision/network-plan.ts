// A container's network block: which of its two spellings it uses, and what of it breaks a rule of its pools.
import { formatIpv4, parseIpv4 } from '../ipv4/address.ts';
import { parseSubnet, subnetContains } from '../ipv4/subnet.ts';
import type { LxcEntry } from '../lxc-config/parse.ts';
import { interfaceName, unicastMac } from '../schema/names.ts';
import type { Pool } from '../schema/network.ts';
import type { NetworkPlan, PoolInterface, Problem } from './revision.ts';
import type { NetworkDocument } from './run-document.ts';

export interface NetworkOf {
  readonly plan: NetworkPlan;
  readonly problems: readonly Problem[];
}

/** An interface as either spelling writes it. */
interface Written {
  readonly path: string;
  readonly interface: string;
  readonly pool: string | undefined;
  readonly address: string | undefined;
  readonly addressKey: string;
  readonly mac: string | undefined;
  readonly macKey: string;
}

/**
 * `path`: of the run.json, `<container>/run.json`. `baked`: the container's own `lxc.net.*` lines. Codes: NETWORK_BOTH_FORMS,
 * NETWORK_MODE, POOL_MISSING, UNKNOWN_POOL, BAD_INTERFACE, DUPLICATE_INTERFACE, BAD_ADDRESS, ADDRESS_OUTSIDE, ADDRESS_UNUSABLE,
 * BAD_MAC, POOL_AND_BAKED.
 */
export function planNetwork(
  container: string,
  document: NetworkDocument | undefined,
  pools: readonly Pool[],
  baked: readonly LxcEntry[],
): NetworkOf {
  const path = `${container}/run.json.network`;
  const mode = document?.mode ?? impliedMode(document);
  if (document === undefined || mode === undefined) return { plan: { mode: 'legacy' }, problems: [] };
  if (mode !== 'pool') {
    const refers = document.pool !== undefined || document.interfaces !== undefined;
    const message = `mode '${mode}' and a pool exclude each other; remove one of them`;
    return { plan: { mode }, problems: refers ? [{ path: `${path}.mode`, code: 'NETWORK_MODE', message }] : [] };
  }
  const written = writtenInterfaces(document, path);
  const problems = [
    ...formProblems(document, path),
    ...written.flatMap((each) => checkInterface(container, each, pools)),
    ...duplicateNames(written),
    ...baked.map((entry) => bakedProblem(container, entry)),
  ];
  const interfaces = written.flatMap(({ interface: name, pool, address, mac }): PoolInterface[] =>
    pool === undefined ? [] : [{ interface: name, pool, address, mac: mac?.toLowerCase() }],
  );
  return { plan: { mode: 'pool', interfaces }, problems };
}

function impliedMode(document: NetworkDocument | undefined): 'pool' | undefined {
  return document?.pool !== undefined || document?.interfaces !== undefined ? 'pool' : undefined;
}

function writtenInterfaces(document: NetworkDocument, path: string): readonly Written[] {
  const keys = { addressKey: 'ipv4_address', macKey: 'mac_address' };
  if (document.interfaces !== undefined) {
    return document.interfaces.map((each, index) => ({
      path: `${path}.interfaces.${index}`,
      interface: each.name ?? `eth${index}`,
      pool: each.pool ?? document.pool,
      address: each.ipv4_address,
      mac: each.mac_address,
      ...keys,
    }));
  }
  const { pool, ip: address, mac } = document;
  return [{ path, interface: 'eth0', pool, address, mac, addressKey: 'ip', macKey: 'mac' }];
}

function formProblems({ interfaces, ip, mac }: NetworkDocument, path: string): readonly Problem[] {
  if (interfaces === undefined || (ip === undefined && mac === undefined)) return [];
  const message = 'has ip or mac beside interfaces; write them into interfaces[].ipv4_address and mac_address';
  return [{ path, code: 'NETWORK_BOTH_FORMS', message }];
}

function checkInterface(container: string, written: Written, pools: readonly Pool[]): readonly Problem[] {
  const { path, pool: name, mac, macKey } = written;
  const problems: Problem[] = [];
  if (!interfaceName.safeParse(written.interface).success) {
    const message = `'${written.interface}' is no interface name: 1–15 of A-Z a-z 0-9 _ . -`;
    problems.push({ path: `${path}.name`, code: 'BAD_INTERFACE', message });
  }
  if (mac !== undefined && !unicastMac.safeParse(mac.toLowerCase()).success) {
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
  } else if (pool === undefined) {
    const known =
      pools.length === 0 ? 'device.json has none' : `device.json has ${pools.map((each) => each.name).join(', ')}`;
    const message = `container '${container}' references unknown pool '${name}', refusing to start; ${known}`;
    problems.push({ path: `${path}.pool`, code: 'UNKNOWN_POOL', message });
  } else {
    problems.push(...checkAddress(container, written, pool));
  }
  return problems;
}

function checkAddress(container: string, { path, address, addressKey }: Written, pool: Pool): readonly Problem[] {
  if (address === undefined) return [];
  const at = `${path}.${addressKey}`;
  const number = parseIpv4(address);
  if (number === undefined) {
    return [{ path: at, code: 'BAD_ADDRESS', message: `'${address}' is no IPv4 address; write a.b.c.d` }];
  }
  const parsed = parseSubnet(pool.subnet);
  // The pool itself is reported where it stands.
  if (!parsed.ok) return [];
  const { subnet } = parsed;
  const range = `${formatIpv4(subnet.first + 1)}–${formatIpv4(subnet.last - 1)}`;
  if (!subnetContains(subnet, number)) {
    const message = `static address ${address} of '${container}' is outside ${pool.subnet} of pool '${pool.name}'; take one of ${range}`;
    return [{ path: at, code: 'ADDRESS_OUTSIDE', message }];
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

function duplicateNames(written: readonly Written[]): readonly Problem[] {
  return written.flatMap((each, index) =>
    written.findIndex((other) => other.interface === each.interface) === index
      ? []
      : [
          {
            path: `${each.path}.name`,
            code: 'DUPLICATE_INTERFACE',
            message: `interface '${each.interface}' is there already`,
          },
        ],
  );
}

function bakedProblem(container: string, { key, value, line, source }: LxcEntry): Problem {
  const message = `container '${container}' has a pool and bakes its network too; remove the line "${key} = ${value}" or the pool`;
  return { path: `${source}:${line}`, code: 'POOL_AND_BAKED', message };
}
