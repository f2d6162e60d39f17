// Addresses that belong to containers before the first allocation: statics and those baked into LXC configurations; and MAC
// addresses that are set. Each may be claimed once.
import { parseIpv4 } from '../ipv4/address.ts';
import { parseSubnet, subnetContains } from '../ipv4/subnet.ts';
import type { LegacyAddress } from '../lxc-config/legacy-addresses.ts';
import type { Pool, Reservation } from '../schema/network.ts';
import type { ContainerPlan, Problem } from './revision.ts';

export interface LegacyClaim {
  readonly container: string;
  readonly address: LegacyAddress;
}

export interface Claims {
  readonly reservations: readonly Reservation[];
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
}

interface Claim {
  readonly path: string;
  readonly reservation: Reservation;
}

/** Codes: ADDRESS_CONFLICT, MAC_CONFLICT; warnings LEGACY_IS_GATEWAY. A legacy address outside every pool is nobody's business. */
export function collectClaims(
  containers: readonly ContainerPlan[],
  legacy: readonly LegacyClaim[],
  pools: readonly Pool[],
): Claims {
  const gateways = new Set(pools.map(({ gateway }) => gateway));
  const inPool = legacy.flatMap((claim) => legacyClaim(claim, pools));
  const warnings = inPool
    .filter(({ reservation }) => gateways.has(reservation.address))
    .map(({ path, reservation: { container, address, pool } }) => ({
      path,
      code: 'LEGACY_IS_GATEWAY',
      message: `legacy address ${address} of '${container}' is the gateway of pool '${pool}'; it is not reserved`,
    }));
  const claims = [
    ...containers.flatMap(staticClaims),
    ...inPool.filter(({ reservation }) => !gateways.has(reservation.address)),
  ];
  return {
    reservations: claims.map(({ reservation }) => reservation),
    problems: [...addressConflicts(claims), ...macConflicts(containers)],
    warnings,
  };
}

function staticClaims({ name, network }: ContainerPlan): readonly Claim[] {
  if (network.mode !== 'pool') return [];
  return network.interfaces.flatMap(({ interface: interfaceName, pool, address }) =>
    address === undefined
      ? []
      : [
          {
            path: `${name}/run.json.network`,
            reservation: { pool, container: name, interface: interfaceName, address, kind: 'static' as const },
          },
        ],
  );
}

function legacyClaim({ container, address }: LegacyClaim, pools: readonly Pool[]): readonly Claim[] {
  const number = parseIpv4(address.address);
  const pool = pools.find((candidate) => {
    const parsed = parseSubnet(candidate.subnet);
    return parsed.ok && number !== undefined && subnetContains(parsed.subnet, number);
  });
  if (pool === undefined) return [];
  const reservation = {
    pool: pool.name,
    container,
    interface: `net${address.interfaceIndex}`,
    address: address.address,
    kind: 'legacy' as const,
  };
  return [{ path: `${address.source}:${address.line}`, reservation }];
}

/** Each claim against those before it. */
function addressConflicts(claims: readonly Claim[]): readonly Problem[] {
  return claims.flatMap(({ path, reservation }, index) => {
    const other = claims
      .slice(0, index)
      .find((each) => each.reservation.pool === reservation.pool && each.reservation.address === reservation.address);
    if (other === undefined) return [];
    const { address, container, kind } = reservation;
    const holder = `${other.reservation.kind} address of '${other.reservation.container}'`;
    const message = `${kind} address ${address} of '${container}' is the ${holder} already; give one of them another`;
    return [{ path, code: 'ADDRESS_CONFLICT', message }];
  });
}

function macConflicts(containers: readonly ContainerPlan[]): readonly Problem[] {
  const seen = new Map<string, string>();
  return containers.flatMap(({ name, network }) =>
    (network.mode === 'pool' ? network.interfaces : []).flatMap(({ pool, mac }) => {
      if (mac === undefined) return [];
      const key = `${pool} ${mac}`;
      const other = seen.get(key);
      seen.set(key, name);
      if (other === undefined) return [];
      const message = `MAC address ${mac} of '${name}' is that of '${other}' in pool '${pool}' already; give one of them another`;
      return [{ path: `${name}/run.json.network`, code: 'MAC_CONFLICT', message }];
    }),
  );
}
