// Objects of the control API that travel between state-svc and ctl-svc as they are: field names are the API's (snake case),
// in the order that the stock runtime writes them.
import * as z from 'zod/mini';
import { exitStatus } from './exit.ts';

export const STATUSES = [
  'INSTALLED',
  'MOUNTED',
  'BLOCKED',
  'STARTING',
  'STARTED',
  'READY',
  'RECOVERING',
  'STOPPING',
  'STOPPED',
] as const;
/** In the order of the ranking that group and revision status use. */
export const status = z.enum(STATUSES);
export type Status = z.output<typeof status>;

export const statusGoal = z.enum(['MOUNTED', 'STARTED', 'READY']);
export type StatusGoal = z.output<typeof statusGoal>;
export const restartPolicy = z.enum(['system', 'container']);
export type RestartPolicy = z.output<typeof restartPolicy>;
export const role = z.enum(['mgmt', 'nobody']);
export type Role = z.output<typeof role>;

/** What whoever may manage containers can ask of one. */
export const containerAction = z.enum(['start', 'stop', 'restart']);
export type ContainerAction = z.output<typeof containerAction>;

/** Booleans that the stock runtime writes as strings. */
const booleanString = z.enum(['true', 'false']);

export const networkRow = z.strictObject({
  hostname: z.string(),
  interfaces: z.array(
    z.strictObject({
      pool: z.string(),
      name: z.string(),
      /** With prefix, `10.0.5.2/24`. */
      ipv4: z.string(),
      gateway: z.string(),
      bridge: z.string(),
      host_interface: z.string(),
      mac: z.string(),
    }),
  ),
});

export const containerRow = z.strictObject({
  name: z.string(),
  group: z.string(),
  status,
  status_goal: statusGoal,
  restart_policy: restartPolicy,
  roles: z.array(z.string()),
  auto_recovery: z.optional(
    z.strictObject({
      policy: z.string(),
      max_retries: z.int(),
      current_retries: z.int(),
      stable_timeout: z.int(),
      is_stable: booleanString,
      backoff_policy: z.string(),
    }),
  ),
  user_stopped: z.optional(booleanString),
  /** Ours: only for containers of a pool, once they have a lease. */
  network: z.optional(networkRow),
  /** Ours: of the container's init in the supervisor's pid namespace; null while it does not run. */
  pid: z.nullable(z.int()),
  /** Ours: how the last run ended, null before the first end. */
  exit: z.nullable(z.strictObject({ status: exitStatus, at: z.string() })),
  /** Ours: starts after the first, since the tree came up. */
  restarts: z.int(),
  /** Ours: RFC 3339, when the status became what it is. */
  since: z.string(),
  /** Ours: mounts that were busy at its last stop, and end with their last user; absent when there are none. */
  detached_mounts: z.optional(z.array(z.string())),
});
export type ContainerRow = z.output<typeof containerRow>;

export const groupRow = z.strictObject({
  name: z.string(),
  status_goal: statusGoal,
  restart_policy: restartPolicy,
  status: z.string(),
  auto_recovery: z.optional(
    z.strictObject({ max_retries: z.int(), stable_timeout: z.int(), backoff_policy: z.string() }),
  ),
});
export type GroupRow = z.output<typeof groupRow>;
