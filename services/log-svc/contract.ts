// log-svc: collects what containers and services write, and lays it down under <storage>/logs.
import * as z from 'zod/mini';
import { defineContract } from '../../shared/ipc/contract.ts';
import { healthRequest } from '../../shared/schema/health.ts';
import { revisionName } from '../../shared/schema/names.ts';

export const logContract = defineContract({
  service: 'log-svc',
  job: 'Collects the logs of containers and services and writes them, by revision and source, under <storage>/logs.',
  privileges: {
    user: 'berth-log',
    capabilities: [],
    reasons: {},
    noNewPrivileges: true,
    umask: 0o022,
    // `current` is a symbolic link. Containers’ sockets are read by native code: Node has no datagrams of AF_UNIX.
    permissionModel: { workers: true, anyPath: true, addons: true },
  },
  files: { owns: ['<storage>/logs', '<rundir>/log'], reads: ['<rundir>/lxc'], writes: [] },
  watch: { readyMs: 10_000, beatMs: 1_000, missedBeats: 3 },
  requests: {
    /** From now on everything belongs to this revision; what came before it was known goes there too. */
    openRevision: {
      callers: ['state-svc'],
      params: z.strictObject({ revision: revisionName }),
      result: z.strictObject({}),
      errors: { LOG_UNWRITABLE: z.strictObject({ path: z.string(), reason: z.string() }) },
      idempotent: true,
      deadlineMs: 5_000,
    },
    health: healthRequest,
  },
  events: {},
});
