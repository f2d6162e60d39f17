// What the supervisor tells a service at its start: one JSON document in the environment variable BERTH_LAUNCH.
import * as z from 'zod/mini';
import { SERVICE_NAMES } from '../ipc/contract.ts';
import { absolutePath } from '../schema/names.ts';

const writtenSetting = z.strictObject({
  /** Known to whoever asks for its value: the table of keys is not every service's to load. */
  key: z.string(),
  value: z.string(),
  origin: z.enum(['pv conf file', 'env', 'user meta', 'command']),
});

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
  /** log-svc: the supervisor's own stdout; writing to it does not block. */
  stdoutFd: z.optional(fd),
  /** log-svc: /dev/kmsg, when it is to be kept; reading does not block. */
  kernelLogFd: z.optional(fd),
  /** lxc-svc: uid that must be able to read the raw log files of containers. */
  logUid: z.optional(z.int()),
  /** state-svc: different for every tree, the same for all starts of a service within one. */
  life: z.optional(z.string()),
  /** state-svc: it is the first of the first tree since the machine started, so no container runs. Absent: some may. */
  nothingRuns: z.optional(z.literal(true)),
  /** Configuration that is not as the defaults have it: one value per key. */
  settings: z.optional(z.array(writtenSetting)),
});
export type Launch = z.output<typeof launch>;

export const LAUNCH_VARIABLE = 'BERTH_LAUNCH';
/** The inherited socketpair to the broker. */
export const BROKER_FD = 3;
