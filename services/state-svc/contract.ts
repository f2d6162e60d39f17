// state-svc: the revision. Decides what should run and drives it there through ipam-svc, net-svc and lxc-svc.
import * as z from 'zod/mini';
import { defineContract } from '../../shared/ipc/contract.ts';
import { containerRow, groupRow } from '../../shared/schema/api.ts';
import { healthRequest } from '../../shared/schema/health.ts';
import { containerName } from '../../shared/schema/names.ts';

export const stateContract = defineContract({
  service: 'state-svc',
  job: 'Owns the revision: verifies it, decides what should run, and drives groups to their status goals.',
  privileges: {
    user: 'berth-state',
    capabilities: [],
    reasons: {},
    noNewPrivileges: true,
    umask: 0o022,
    permissionModel: { workers: true },
  },
  files: {
    owns: ['<storage>/boot', '<storage>/trails', '<storage>/objects', '<storage>/cache'],
    reads: [],
    writes: [],
  },
  watch: { readyMs: 10_000, beatMs: 500, missedBeats: 6 },
  requests: {
    listContainers: {
      callers: ['ctl-svc'],
      params: z.strictObject({}),
      result: z.strictObject({ containers: z.array(containerRow) }),
      errors: {},
      idempotent: true,
      deadlineMs: 5_000,
    },
    listGroups: {
      callers: ['ctl-svc'],
      params: z.strictObject({}),
      result: z.strictObject({ groups: z.array(groupRow) }),
      errors: {},
      idempotent: true,
      deadlineMs: 5_000,
    },
    /** Answers as soon as the action is accepted; what comes of it is told by events. */
    controlContainer: {
      callers: ['ctl-svc'],
      params: z.strictObject({ container: z.string(), action: z.enum(['start', 'stop', 'restart']) }),
      result: z.strictObject({}),
      errors: {
        CONTAINER_NOT_FOUND: z.strictObject({}),
        POLICY_SYSTEM: z.strictObject({}),
        NOT_ALLOWED: z.strictObject({ status: z.string(), reason: z.string() }),
      },
      idempotent: false,
      deadlineMs: 5_000,
    },
    /** The container sent its READY signal. */
    signalReady: {
      callers: ['ctl-svc'],
      params: z.strictObject({ container: containerName }),
      result: z.strictObject({}),
      errors: { SIGNAL_UNEXPECTED: z.strictObject({}) },
      idempotent: true,
      deadlineMs: 5_000,
    },
    /** Before a poweroff: stops every container in reverse group order and takes the network of the pools away. Goes on past errors, reports them all. */
    stopAll: {
      callers: ['supervisor'],
      params: z.strictObject({}),
      result: z.strictObject({}),
      errors: { STOP_INCOMPLETE: z.strictObject({ reasons: z.array(z.string()) }) },
      idempotent: true,
      deadlineMs: 60_000,
    },
    health: healthRequest,
  },
  events: {
    /** The whole row of a container that changed. */
    containerChanged: { subscribers: ['ctl-svc'], payload: z.strictObject({ container: containerRow }) },
    groupChanged: { subscribers: ['ctl-svc'], payload: z.strictObject({ group: groupRow }) },
    /** Another set of containers or groups: take both lists anew. */
    revisionChanged: { subscribers: ['ctl-svc'], payload: z.strictObject({ revision: z.string() }) },
  },
});
