// What the supervisor tells a service at its start: one JSON document in the environment variable BERTH_LAUNCH.
import * as z from 'zod/mini';
import { SERVICE_NAMES } from '../ipc/contract.ts';
import { absolutePath } from '../schema/names.ts';

const fd = z.int().check(z.minimum(0));

export const launch = z.strictObject({
  service: z.enum(SERVICE_NAMES),
  rundir: absolutePath,
  storage: absolutePath,
  mode: z.enum(['embedded', 'appengine']),
  /** ctl-svc: the listening socket <rundir>/pv-ctrl. */
  hostSocketFd: z.optional(fd),
  /** log-svc: read ends of the pipes that services write their logs to, one JSON object a line. */
  logPipes: z.optional(z.array(z.strictObject({ source: z.enum(SERVICE_NAMES), fd }))),
  /** lxc-svc: uid that must be able to read the raw log files of containers. */
  logUid: z.optional(z.int()),
  /** net-svc: NAT back ends it may use, in order of preference. */
  natBackends: z.optional(z.array(z.enum(['nftables', 'iptables']))),
  /** net-svc: whether a new pool that overlaps what the machine uses is refused; `error` when absent. */
  poolOverlap: z.optional(z.enum(['error', 'warning'])),
  /** state-svc: how long leases of containers that no revision has are kept; a day when absent. */
  leaseHoldSeconds: z.optional(z.int().check(z.minimum(0))),
});
export type Launch = z.output<typeof launch>;

export const LAUNCH_VARIABLE = 'BERTH_LAUNCH';
/** The inherited socketpair to the broker. */
export const BROKER_FD = 3;
