// A small contract in the place of a real one: state-svc asks, ipam-svc answers.
import * as z from 'zod/mini';
import { defineContract } from '../../shared/ipc/contract.ts';

export const echoContract = defineContract({
  service: 'ipam-svc',
  job: 'Answers what it is asked, in tests.',
  privileges: {
    user: 'berth-ipam',
    capabilities: [],
    reasons: {},
    noNewPrivileges: true,
    umask: 0o027,
    permissionModel: { workers: false },
  },
  files: { owns: [], reads: [], writes: [] },
  watch: { readyMs: 1_000, beatMs: 100, missedBeats: 3 },
  requests: {
    echo: {
      callers: ['state-svc'],
      params: z.strictObject({ text: z.string() }),
      result: z.strictObject({ text: z.string() }),
      errors: { TOO_LONG: z.strictObject({ length: z.int() }) },
      idempotent: true,
      deadlineMs: 20_000,
    },
    /** Not idempotent. */
    count: {
      callers: ['state-svc'],
      params: z.strictObject({}),
      result: z.strictObject({ count: z.int() }),
      errors: {},
      idempotent: false,
      deadlineMs: 20_000,
    },
  },
  events: {
    echoed: { subscribers: ['state-svc'], payload: z.strictObject({ text: z.string() }) },
  },
});
