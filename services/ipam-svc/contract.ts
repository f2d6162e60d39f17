// ipam-svc: pools, leases, allocation. Owns the lease journal and nothing else.
import * as z from 'zod/mini';
import { defineContract } from '../../shared/ipc/contract.ts';
import { healthRequest } from '../../shared/schema/health.ts';
import { containerName, epochMs, interfaceName, ipv4, poolName, unicastMac } from '../../shared/schema/names.ts';
import { bridgePool, interfacesByPool, lease, reservation } from '../../shared/schema/network.ts';

/** Some 15,000 fixed addresses with long names: more than a state has room for. */
const MAX_PARTS = 64;
/** By chance. */
const partSet = z.int().check(z.minimum(0));

const leaseKey = { pool: poolName, container: containerName, interface: interfaceName };

/** They fit a message. */
export const MAX_LEASES_A_PAGE = 200;

export const ipamContract = defineContract({
  service: 'ipam-svc',
  job: 'Gives every container interface of a pool its stable address.',
  privileges: {
    user: 'berth-ipam',
    capabilities: [],
    reasons: {},
    noNewPrivileges: true,
    umask: 0o027,
    permissionModel: { workers: false },
  },
  files: { owns: ['<storage>/ipam', '<rundir>/ipam'], reads: [], writes: [] },
  watch: { readyMs: 10_000, beatMs: 1_000, missedBeats: 3 },
  requests: {
    /**
     * Replaces the pools and reservations of the revision. Existing leases keep their addresses, but for those that the revision fixes for another
     * while it has not the interface that holds them. Without `interfaces` every lease and reservation counts as the revision's; those of others
     * are of revisions to come back to. `prepared`: those parts, in their order, come before its own.
     */
    configure: {
      callers: ['state-svc'],
      params: z.strictObject({
        pools: z.array(bridgePool),
        reservations: z.array(reservation),
        interfaces: z.optional(interfacesByPool),
        prepared: z.optional(
          z.strictObject({ set: partSet, count: z.int().check(z.minimum(0), z.maximum(MAX_PARTS)) }),
        ),
      }),
      result: z.strictObject({}),
      errors: {
        /** This service has restarted since it was told the first of them, or was told of another set: all of them are to be told again. */
        PARTS_MISSING: z.strictObject({}),
        INVALID_POOLS: z.strictObject({
          problems: z.array(z.strictObject({ path: z.string(), code: z.string(), message: z.string() })),
        }),
        ADDRESS_TAKEN: z.strictObject({ ...leaseKey, address: ipv4, holder: z.string() }),
        JOURNAL_UNWRITABLE: z.strictObject({ reason: z.string() }),
      },
      idempotent: true,
      deadlineMs: 10_000,
    },
    /** A part of what `configure` is told, for what does not fit its message. Parts of another set are forgotten with the first of this one. */
    prepare: {
      callers: ['state-svc'],
      params: z.strictObject({
        set: partSet,
        index: z.int().check(z.minimum(0), z.maximum(MAX_PARTS - 1)),
        reservations: z.array(reservation),
        interfaces: z.optional(interfacesByPool),
      }),
      result: z.strictObject({}),
      errors: {},
      idempotent: true,
      deadlineMs: 10_000,
    },
    /** All interfaces of one container or none. Answered after the leases are synced to disk; the same key gets the same address. */
    allocate: {
      callers: ['state-svc'],
      params: z.strictObject({
        container: containerName,
        interfaces: z
          .array(
            z.strictObject({
              interface: interfaceName,
              pool: poolName,
              address: z.optional(ipv4),
              mac: z.optional(unicastMac),
            }),
          )
          .check(z.minLength(1)),
      }),
      /** In the order asked; `reused` when the lease existed before. */
      result: z.strictObject({ leases: z.array(z.strictObject({ ...lease.shape, reused: z.boolean() })) }),
      errors: {
        UNKNOWN_POOL: z.strictObject({ pool: z.string() }),
        POOL_EXHAUSTED: z.strictObject({ pool: poolName, size: z.int(), holders: z.int() }),
        ADDRESS_TAKEN: z.strictObject({ ...leaseKey, address: ipv4, holder: z.string() }),
        ADDRESS_UNUSABLE: z.strictObject({ pool: poolName, address: ipv4, reason: z.string() }),
        /** A MAC that was asked for belongs, or by its form would belong, to somebody else on the pool's bridge. */
        MAC_TAKEN: z.strictObject({ ...leaseKey, mac: unicastMac, holder: z.string() }),
        JOURNAL_UNWRITABLE: z.strictObject({ reason: z.string() }),
      },
      idempotent: true,
      deadlineMs: 10_000,
    },
    /** Gives a lease back for good: its address may go to somebody else once no never-used one is left. Unknown key: a no-op. */
    release: {
      callers: ['state-svc'],
      params: z.strictObject(leaseKey),
      result: z.strictObject({ released: z.boolean() }),
      errors: { JOURNAL_UNWRITABLE: z.strictObject({ reason: z.string() }) },
      idempotent: true,
      deadlineMs: 10_000,
    },
    /** A page of leases in the order (pool, address); `next` is the cursor of the following page. */
    listLeases: {
      callers: ['ctl-svc', 'state-svc'],
      params: z.strictObject({
        after: z.optional(z.string()),
        limit: z.int().check(z.minimum(1), z.maximum(MAX_LEASES_A_PAGE)),
      }),
      result: z.strictObject({
        leases: z.array(
          z.strictObject({
            ...leaseKey,
            address: ipv4,
            mac: unicastMac,
            state: z.enum(['leased', 'released', 'reserved']),
            sinceMs: epochMs,
          }),
        ),
        next: z.optional(z.string()),
      }),
      errors: {},
      idempotent: true,
      deadlineMs: 2_000,
    },
    listPools: {
      callers: ['ctl-svc', 'state-svc'],
      params: z.strictObject({}),
      result: z.strictObject({
        pools: z.array(z.strictObject({ ...bridgePool.shape, size: z.int(), leased: z.int() })),
      }),
      errors: {},
      idempotent: true,
      deadlineMs: 2_000,
    },
    health: healthRequest,
  },
  events: {
    /** A container was given a lease that it did not have, or another address. On disk. */
    leaseAllocated: {
      subscribers: ['ctl-svc'],
      payload: z.strictObject({ ...leaseKey, address: ipv4, mac: unicastMac, atMs: epochMs }),
    },
    leaseReleased: {
      subscribers: ['ctl-svc'],
      payload: z.strictObject({ ...leaseKey, address: ipv4, atMs: epochMs }),
    },
  },
});
