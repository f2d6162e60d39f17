// The contract of the broker's bench, and what its asking end reports.
import * as z from 'zod/mini';
import { defineContract } from '../../shared/ipc/contract.ts';

export const BENCH_HASH = 'bench';

export const benchContract = defineContract({
  service: 'ipam-svc',
  job: 'Answers what it is asked.',
  privileges: {
    user: 'berth-ipam',
    capabilities: [],
    reasons: {},
    noNewPrivileges: true,
    umask: 0o027,
    permissionModel: undefined,
  },
  files: { owns: [], reads: [], writes: [] },
  watch: { readyMs: 1_000, beatMs: 500, missedBeats: 6 },
  requests: {
    echo: {
      callers: ['state-svc'],
      params: z.strictObject({ text: z.string() }),
      result: z.strictObject({ text: z.string() }),
      errors: {},
      idempotent: true,
      deadlineMs: 5_000,
    },
  },
  events: {},
});

export const benchResult = z.strictObject({ p50Us: z.number(), perSecond: z.number() });
export type BenchResult = z.output<typeof benchResult>;
