// run.json: a container's manifest, as written.
import * as z from 'zod/mini';
import { restartPolicy, role, statusGoal } from '../schema/api.ts';
import { autoRecoveryDocument } from './recovery-document.ts';

const fileName = z
  .string()
  .check(z.regex(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,254}$/, 'a file name in the container’s folder'));

export const networkDocument = z.object({
  mode: z.optional(z.enum(['pool', 'host', 'none'])),
  pool: z.optional(z.string()),
  hostname: z.optional(
    z.string().check(z.regex(/^[A-Za-z0-9]([A-Za-z0-9.-]{0,62}[A-Za-z0-9])?$/, 'a host name: 1–64 of A-Z a-z 0-9 . -')),
  ),
  ip: z.optional(z.string()),
  mac: z.optional(z.string()),
  interfaces: z.optional(
    z.array(
      z.object({
        name: z.optional(z.string()),
        pool: z.optional(z.string()),
        ipv4_address: z.optional(z.string()),
        mac_address: z.optional(z.string()),
      }),
    ),
  ),
});
export type NetworkDocument = z.output<typeof networkDocument>;

const names = z.array(z.string());

export const runDocument = z.object({
  '#spec': z.literal('service-manifest-run@1'),
  name: z.optional(z.string()),
  type: z.optional(z.literal('lxc')),
  config: z.optional(fileName),
  'root-volume': z
    .string()
    .check(
      z.regex(
        /^(dm:)?[A-Za-z0-9_][A-Za-z0-9._-]{0,254}$/,
        'a file name in the container’s folder, with or without dm:',
      ),
    ),
  volumes: z.optional(z.array(z.string())),
  group: z.optional(z.string()),
  status_goal: z.optional(statusGoal),
  restart_policy: z.optional(restartPolicy),
  roles: z.optional(z.array(role)),
  storage: z.optional(
    z.record(
      z.string(),
      z.object({
        persistence: z.optional(z.enum(['permanent', 'revision', 'boot'])),
        disk: z.optional(z.string()),
      }),
    ),
  ),
  drivers: z.optional(
    z.object({ required: z.optional(names), optional: z.optional(names), manual: z.optional(names) }),
  ),
  logs: z.optional(z.array(z.unknown())),
  'dev-log': z.optional(z.boolean()),
  exports: z.optional(names),
  auto_recovery: z.optional(autoRecoveryDocument),
  network: z.optional(networkDocument),
});
export type RunDocument = z.output<typeof runDocument>;
