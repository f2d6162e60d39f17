// Pools and the interfaces of containers in them, as services tell each other about them. All of it is validated already:
// shared/revision refuses what breaks a rule of the whole document (overlaps, gateways outside, ...).
import * as z from 'zod/mini';
import { containerName, interfaceName, ipv4, ipv4Cidr, poolName, unicastMac } from './names.ts';

export const bridgePool = z.strictObject({
  name: poolName,
  type: z.enum(['bridge', 'macvlan']),
  /** Of a macvlan pool: the parent, a link of the host's that its interfaces are made on. */
  bridge: interfaceName,
  subnet: ipv4Cidr,
  gateway: ipv4,
  nat: z.boolean(),
  /** Of a macvlan pool: addresses that the machine itself has on the parent, to be given to nobody. */
  hostAddresses: z.optional(z.array(ipv4)),
});
export type Pool = z.output<typeof bridgePool>;

/** An address that belongs to a container whether it runs or not. */
export const reservation = z.strictObject({
  pool: poolName,
  container: containerName,
  interface: interfaceName,
  address: ipv4,
  /** `static`: asked for in run.json. `legacy`: baked into the container's LXC configuration. */
  kind: z.enum(['static', 'legacy']),
});
export type Reservation = z.output<typeof reservation>;

/**
 * Of a revision, by pool: `<container>/<interface>` of each container that has an interface there, and the MAC that is set for it; null: derived from
 * its address. Names instead of records, as a frame must hold those of all containers.
 */
export const interfacesByPool = z.record(
  poolName,
  z.record(z.string().check(z.regex(/^[^/\s]+\/[^/\s]+$/)), z.nullable(unicastMac)),
);
export type InterfacesByPool = z.output<typeof interfacesByPool>;

export const lease = z.strictObject({
  pool: poolName,
  container: containerName,
  interface: interfaceName,
  address: ipv4,
  prefixLength: z.int().check(z.minimum(8), z.maximum(30)),
  gateway: ipv4,
  bridge: interfaceName,
  mac: unicastMac,
});
export type Lease = z.output<typeof lease>;

/** How a container's network comes to be: a namespace that net-svc made, the host's, a new empty one, or its own `lxc.net.*` lines. */
export const containerNetwork = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('netns'), path: z.string() }),
  z.strictObject({ kind: z.literal('host') }),
  z.strictObject({ kind: z.literal('none') }),
  z.strictObject({ kind: z.literal('legacy') }),
]);
export type ContainerNetwork = z.output<typeof containerNetwork>;
