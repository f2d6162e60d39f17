// Addresses that belong to containers before the first allocation: statics and those baked into LXC configurations; and MAC
// addresses that are set. Each may be claimed once.
import { parseIpv4 } from '../ipv4/address.ts';
import { parseSubnet, subnetContains } from '../ipv4/subnet.ts';
import type { Pool, Reservation } from '../schema/network.ts';
import type { LegacyInterface, ReadContainer } from './container-plan.ts';
import type { Problem } from './revision.ts';

export type Claimant = Pick<ReadContainer, 'name' | 'network' | 'places' | 'legacy'>;

export interface Claims {
  readonly reservations: readonly Reservation[];
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
  /** Legacy addresses in no pool, with their lines. */
  readonly ignored: readonly string[];
}

interface Claim {
  readonly path: string;
  /** What cannot collide with another: a pool's name, or a bridge outside every pool. */
  readonly network: string;
  readonly holder: string;
  readonly address: string;
  /** Undefined: no pool has it, or none could give it away. */
  readonly reservation: Reservation | undefined;
}

interface Finding {
  readonly claim: Claim;
  readonly warning: Problem | undefined;
  readonly ignored: string | undefined;
}

/** Codes: ADDRESS_CONFLICT, MAC_CONFLICT; warnings LEGACY_IS_GATEWAY, LEGACY_UNUSABLE. */
export function collectClaims(containers: readonly Claimant[], pools: readonly Pool[]): Claims {
  const legacy = containers.flatMap(({ name, legacy: found }) =>
    withoutRepeats(found).map((one) => legacyFinding(name, one, pools)),
  );
  const claims = [...containers.flatMap(staticClaims), ...legacy.map(({ claim }) => claim)];
  return {
    reservations: claims.flatMap(({ reservation }) => reservation ?? []),
    problems: [...addressConflicts(claims), ...macConflicts(containers, pools)],
    warnings: legacy.flatMap(({ warning }) => warning ?? []),
    ignored: legacy.flatMap(({ ignored }) => ignored ?? []),
  };
}

function staticClaims({ name, network, places }: Claimant): readonly Claim[] {
  if (network.mode !== 'pool') return [];
  return network.interfaces.flatMap(({ interface: interfaceName, pool, address }, index) => {
    if (address === undefined) return [];
    const reservation = { pool, container: name, interface: interfaceName, address, kind: 'static' } as const;
    const holder = `static address of '${name}'`;
    return [{ path: places[index]?.address ?? name, network: pool, holder, address, reservation }];
  });
}

function legacyFinding(container: string, one: LegacyInterface, pools: readonly Pool[]): Finding {
  const path = `${one.source}:${one.line}`;
  const { address, interfaceIndex, link = '' } = one;
  const held = { path, address, holder: `legacy address of '${container}'` };
  const found = poolOf(address, pools);
  if (found === undefined) {
    const claim = { ...held, network: `bridge ${link}`, reservation: undefined };
    return { claim, warning: undefined, ignored: `${path} (${address} is in no pool)` };
  }
  const { pool, edge } = found;
  const claim = { ...held, network: pool.name };
  if (edge === undefined) {
    const reservation = {
      pool: pool.name,
      container,
      interface: `net${interfaceIndex}`,
      address,
      kind: 'legacy',
    } as const;
    return { claim: { ...claim, reservation }, warning: undefined, ignored: undefined };
  }
  const code = edge === 'gateway' ? 'LEGACY_IS_GATEWAY' : 'LEGACY_UNUSABLE';
  const message = `legacy address ${address} of '${container}' is the ${edge} of pool '${pool.name}'; it is not reserved`;
  return { claim: { ...claim, reservation: undefined }, warning: { path, code, message }, ignored: undefined };
}

/** `edge`: an address that the pool gives to nobody. */
function poolOf(address: string, pools: readonly Pool[]) {
  const number = parseIpv4(address);
  for (const pool of pools) {
    const parsed = parseSubnet(pool.subnet);
    if (!parsed.ok || number === undefined || !subnetContains(parsed.subnet, number)) continue;
    if (address === pool.gateway) return { pool, edge: 'gateway' } as const;
    if (number === parsed.subnet.first) return { pool, edge: 'network address' } as const;
    return { pool, edge: number === parsed.subnet.last ? ('broadcast address' as const) : undefined };
  }
  return undefined;
}

/** An interface may name its address twice. */
function withoutRepeats(legacy: readonly LegacyInterface[]): readonly LegacyInterface[] {
  const seen = new Set<string>();
  return legacy.filter(({ address, interfaceIndex }) => {
    const key = `${interfaceIndex} ${address}`;
    const isFirst = !seen.has(key);
    seen.add(key);
    return isFirst;
  });
}

/** Each claim against those before it. */
function addressConflicts(claims: readonly Claim[]): readonly Problem[] {
  const first = new Map<string, Claim>();
  return claims.flatMap((claim) => {
    const { network, address, holder, path } = claim;
    const key = `${network} ${address}`;
    const other = first.get(key);
    if (other === undefined) {
      first.set(key, claim);
      return [];
    }
    const message = `${address}, ${holder}, is the ${other.holder} already (${other.path}); give one of them another`;
    return [{ path, code: 'ADDRESS_CONFLICT', message }];
  });
}

/** On one link, be it of several pools (macvlan). */
function macConflicts(containers: readonly Claimant[], pools: readonly Pool[]): readonly Problem[] {
  const linkOf = new Map(pools.map(({ name, bridge }) => [name, bridge]));
  const seen = new Map<string, string>();
  return containers.flatMap(({ name, network, places }) =>
    (network.mode === 'pool' ? network.interfaces : []).flatMap(({ pool, mac }, index) => {
      if (mac === undefined) return [];
      const key = `${linkOf.get(pool) ?? pool} ${mac}`;
      const other = seen.get(key);
      seen.set(key, name);
      if (other === undefined) return [];
      const message = `MAC address ${mac} of '${name}' is that of '${other}' in pool '${pool}' already; give one of them another`;
      return [{ path: places[index]?.mac ?? name, code: 'MAC_CONFLICT', message }];
    }),
  );
}
