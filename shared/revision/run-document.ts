// run.json as written: a container's manifest, and that of the board support.
import * as z from 'zod/mini';
import { restartPolicy, role, type StatusGoal, statusGoal } from '../schema/api.ts';
import { driverName } from '../schema/drivers.ts';
import { containerLogFile } from '../schema/logs.ts';
import { autoRecoveryDocument } from './recovery-document.ts';
import { volumeDocuments } from './volume-rules.ts';

const fileName = z
  .string()
  .check(z.regex(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,254}$/, 'a file name in the container’s folder'));

/** `dm:` in front marks a volume that dm-verity checks. */
const volumeName = z
  .string()
  .check(
    z.regex(/^(dm:)?[A-Za-z0-9_][A-Za-z0-9._-]{0,254}$/, 'a file name in the container’s folder, with or without dm:'),
  );

/** Labels as in RFC 1123, section 2.1, and with the underscore, which Linux and LXC take; HOST_NAME_MAX of linux is 64. */
const label = '[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?';
export const hostName = z
  .string()
  .check(
    z.regex(
      new RegExp(`^(?=.{1,64}$)${label}(?:\\.${label})*$`),
      'a host name: up to 64 of A-Z a-z 0-9 _ -, in labels parted by dots',
    ),
  );

/** Each of them passes the addresses of all of them (net-svc): together as many rules as the square. */
const MAX_INTERFACES = 32;

const networkDocument = z.object({
  mode: z.optional(z.enum(['pool', 'host', 'none'])),
  pool: z.optional(z.string()),
  hostname: z.optional(hostName),
  ip: z.optional(z.string()),
  mac: z.optional(z.string()),
  interfaces: z.optional(
    z
      .array(
        z.object({
          name: z.optional(z.string()),
          pool: z.optional(z.string()),
          ipv4_address: z.optional(z.string()),
          mac_address: z.optional(z.string()),
        }),
      )
      .check(z.maxLength(MAX_INTERFACES)),
  ),
});
export type NetworkDocument = z.output<typeof networkDocument>;

const names = z.array(z.string());
const driverList = z.array(driverName);

/** Pantavisor's logs are pairs of texts; people write the JSON types that are meant. */
const logDocument = z.object({
  file: z.optional(containerLogFile.shape.path),
  name: z.optional(z.string()),
  truncate: z.optional(z.union([z.boolean(), z.enum(['true', 'false'])])),
  maxsize: z.optional(
    z.union([z.int().check(z.minimum(0)), z.string().check(z.regex(/^\d{1,15}$/, 'a number of bytes'))]),
  ),
  lxc: z.optional(z.string()),
  console: z.optional(z.string()),
});
export type LogDocument = z.output<typeof logDocument>;
/** Beside the two that every container has. */
const MAX_LOGS = 30;

/** Layers of one overlay: OVL_MAX_STACK of linux/fs/overlayfs. */
const MAX_VOLUMES = 500;

/** Keys of run.json without which nothing can be run. */
export const RUN_REQUIRED = ['#spec'];

export const runDocument = z.object({
  '#spec': z.optional(z.literal('service-manifest-run@1')),
  name: z.optional(z.string()),
  type: z.optional(z.literal('lxc')),
  config: z.optional(fileName),
  'root-volume': z.optional(volumeName),
  volumes: z.optional(z.array(volumeName).check(z.maxLength(MAX_VOLUMES))),
  group: z.optional(z.string()),
  /** The older name of `group`, which packagers still write. */
  runlevel: z.optional(z.string()),
  status_goal: z.optional(statusGoal),
  /** Of Pantavisor: counts before status_goal where it is known, so that a goal of later versions has one of earlier ones beside it. */
  lifecycle_goal: z.optional(z.unknown()),
  restart_policy: z.optional(restartPolicy),
  roles: z.optional(z.array(role)),
  storage: z.optional(volumeDocuments),
  drivers: z.optional(
    z.object({
      required: z.optional(driverList),
      optional: z.optional(driverList),
      manual: z.optional(driverList),
    }),
  ),
  logs: z.optional(z.array(logDocument).check(z.maxLength(MAX_LOGS))),
  'dev-log': z.optional(z.boolean()),
  /** A text in Pantavisor, where all but "no" means yes. */
  automodfw: z.optional(z.union([z.boolean(), z.string()])),
  exports: z.optional(names),
  /** Options of mounts (remount-plan.ts). */
  remount: z.optional(z.unknown()),
  auto_recovery: z.optional(autoRecoveryDocument),
  network: z.optional(networkDocument),
});
export type RunDocument = z.output<typeof runDocument>;

/** What it is to reach, as far as it says so itself. */
export function goalNamed({ lifecycle_goal: preferred, status_goal: goal }: RunDocument): StatusGoal | undefined {
  return statusGoal.safeParse(preferred).data ?? goal;
}

/** What a runlevel can be. */
const RUNLEVELS: readonly string[] = ['data', 'root', 'platform', 'app'];

/** The group that it names, by either name; a runlevel that is none names nothing. */
export function groupNamed({ group, runlevel }: RunDocument): string | undefined {
  return group ?? (isRunlevel(runlevel) ? runlevel : undefined);
}

export function isRunlevel(written: string | undefined): boolean {
  return written !== undefined && RUNLEVELS.includes(written);
}

/** Kernel, initrd, modules and firmware are the boot loader's and the driver loader's; here only that they are names. */
export const bspRunDocument = z.object({
  linux: z.optional(z.string()),
  initrd: z.optional(z.string()),
  modules: z.optional(z.string()),
  firmware: z.optional(z.string()),
});
