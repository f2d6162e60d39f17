// args.json, what people write by hand when they package a container, and the run.json that it becomes. Pure.
import * as z from 'zod/mini';
import type { Problem } from '../../shared/revision/revision.ts';
import { restartPolicy, statusGoal } from '../../shared/schema/api.ts';
import { mistypedRecovery } from './mistyped.ts';
import { nearestName } from './nearest-name.ts';
import {
  ADDRESS,
  address,
  COUNT,
  count,
  FIELD,
  FLAG,
  field,
  flag,
  isSet,
  LINES,
  lines,
  linesOf,
  listOf,
  WORD,
  WORDS,
  word,
  words,
} from './pack-argument-values.ts';
import { MOUNTS_ALLOWED, mountArguments } from './pack-mounts.ts';
import { exportsOf, storageOf, VOLUMES_ALLOWED, volumeArguments, volumeProblems } from './pack-volumes.ts';

/** A goal of later versions of Pantavisor, which earlier ones know as one that is only mounted. */
const STAGED = 'STAGED';

const argumentsDocument = z.object({
  PV_GROUP: z.optional(word),
  PV_RUNLEVEL: z.optional(word),
  PV_STATUS_GOAL: z.optional(z.enum([...statusGoal.options, STAGED])),
  PV_LIFECYCLE_GOAL: z.optional(word),
  PV_RESTART_POLICY: z.optional(restartPolicy),
  PV_ROLES: z.optional(words),
  PV_AUTO_RECOVERY: z.optional(z.record(z.string(), z.unknown())),
  PV_NETWORK_POOL: z.optional(word),
  PV_NETWORK_HOSTNAME: z.optional(word),
  PV_NETWORK_IP: z.optional(word),
  PV_NETWORK_MAC: z.optional(word),
  PV_DRIVERS_REQUIRED: z.optional(words),
  PV_DRIVERS_OPTIONAL: z.optional(words),
  PV_DRIVERS_MANUAL: z.optional(words),
  PV_LOGS: z.optional(z.array(z.record(z.string(), z.unknown()))),
  PV_DEV_LOG: z.optional(flag),
  PV_LXC_NETWORK_TYPE: z.optional(z.enum(['veth', 'phys', 'empty', 'host'])),
  PV_LXC_NETWORK_LINK: z.optional(field),
  PV_LXC_NETWORK_IPV4_ADDRESS: z.optional(address),
  PV_LXC_NETWORK_IPV4_GATEWAY: z.optional(address),
  PV_LXC_EXTRA_CONF: z.optional(lines),
  PV_LXC_CAP_DROP: z.optional(words),
  PV_LXC_CAP_KEEP: z.optional(words),
  PV_LXC_NAMESPACE_KEEP: z.optional(words),
  PVR_LXC_CGROUP_DEVICES_WHITE: z.optional(lines),
  PVR_LXC_CGROUP_V1: z.optional(lines),
  PV_LXC_EXTRA_ENV: z.optional(lines),
  PV_LXC_DISABLE_CONSOLE: z.optional(flag),
  PV_DISABLE_AUTODEV: z.optional(flag),
  LXC_MOUNT_AUTO_PROC: z.optional(word),
  LXC_MOUNT_AUTO_SYS: z.optional(word),
  LXC_MOUNT_AUTO_GROUP: z.optional(word),
  LXC_TTY_MAX: z.optional(count),
  LXC_PTY_MAX: z.optional(count),
  ...mountArguments,
  ...volumeArguments,
});
export type ContainerArguments = z.output<typeof argumentsDocument>;
const KNOWN: readonly string[] = Object.keys(argumentsDocument.shape);

/** What is allowed, for people. What the values mean is judged with the whole revision. */
export const ALLOWED: Readonly<Record<keyof ContainerArguments, string>> = {
  PV_GROUP: WORD,
  PV_RUNLEVEL: WORD,
  PV_STATUS_GOAL: [...statusGoal.options, STAGED].join(', '),
  PV_LIFECYCLE_GOAL: WORD,
  PV_RESTART_POLICY: restartPolicy.options.join(', '),
  PV_ROLES: WORDS,
  PV_AUTO_RECOVERY: 'an object with a policy',
  PV_NETWORK_POOL: WORD,
  PV_NETWORK_HOSTNAME: WORD,
  PV_NETWORK_IP: WORD,
  PV_NETWORK_MAC: WORD,
  PV_DRIVERS_REQUIRED: WORDS,
  PV_DRIVERS_OPTIONAL: WORDS,
  PV_DRIVERS_MANUAL: WORDS,
  PV_LOGS: 'an array of objects: file, and maybe name, truncate, maxsize',
  PV_DEV_LOG: FLAG,
  PV_LXC_NETWORK_TYPE: 'veth, phys, empty, host',
  PV_LXC_NETWORK_LINK: FIELD,
  PV_LXC_NETWORK_IPV4_ADDRESS: ADDRESS,
  PV_LXC_NETWORK_IPV4_GATEWAY: ADDRESS,
  PV_LXC_EXTRA_CONF: LINES,
  PV_LXC_CAP_DROP: WORDS,
  PV_LXC_CAP_KEEP: WORDS,
  PV_LXC_NAMESPACE_KEEP: WORDS,
  PVR_LXC_CGROUP_DEVICES_WHITE: LINES,
  PVR_LXC_CGROUP_V1: LINES,
  PV_LXC_EXTRA_ENV: LINES,
  PV_LXC_DISABLE_CONSOLE: FLAG,
  PV_DISABLE_AUTODEV: FLAG,
  LXC_MOUNT_AUTO_PROC: WORD,
  LXC_MOUNT_AUTO_SYS: WORD,
  LXC_MOUNT_AUTO_GROUP: WORD,
  LXC_TTY_MAX: COUNT,
  LXC_PTY_MAX: COUNT,
  ...MOUNTS_ALLOWED,
  ...VOLUMES_ALLOWED,
};

export interface ReadArguments {
  /** Without those that have a problem. */
  readonly args: ContainerArguments;
  readonly problems: readonly Problem[];
  /** Of arguments that are passed over: those of other packagers, and names that are mistyped. */
  readonly warnings: readonly Problem[];
}

/** `path` names the file in problems. Codes: BAD_TYPE, BAD_VALUE, ARGUMENT_ALONE, ARGUMENTS_EXCLUDE, VOLUME_TWICE; UNKNOWN_ARGUMENT, a warning unless it may confine; warning ARGUMENT_UNUSED. */
export function readArguments(document: unknown, path: string): ReadArguments {
  if (typeof document !== 'object' || document === null || Array.isArray(document)) {
    const message = `is ${shown(document)}; must be an object`;
    return { args: {}, problems: [{ path, code: 'BAD_TYPE', message }], warnings: [] };
  }
  const sound: [string, unknown][] = [];
  const problems: Problem[] = [];
  const warnings: Problem[] = [];
  for (const [name, value] of Object.entries(document)) {
    const at = `${path}.${name}`;
    if (!isArgument(name)) {
      (CONFINING.test(name) ? problems : warnings).push({
        path: at,
        code: 'UNKNOWN_ARGUMENT',
        message: unknownText(name),
      });
    } else if (argumentsDocument.shape[name].safeParse(value).success) {
      sound.push([name, value]);
    } else {
      problems.push({ path: at, code: 'BAD_VALUE', message: `is ${shown(value)}; must be ${ALLOWED[name]}` });
    }
  }
  const args = argumentsDocument.parse(Object.fromEntries(sound));
  const recovery = mistypedRecovery(args.PV_AUTO_RECOVERY, `${path}.PV_AUTO_RECOVERY`);
  const together = [...volumeProblems(args, path), ...checkCompanions(document, path), ...linkProblems(args, path)];
  return {
    args,
    problems: [...problems, ...together],
    warnings: [...warnings, ...linkWarnings(args, path), ...recovery],
  };
}

/** An interface that a container is given: without a name LXC does not start it. An included file may name it. */
const NAMES_LINK = /^lxc\.(?:net\.0\.link|include)\s*=/;

function linkProblems(args: ContainerArguments, path: string): Problem[] {
  const isNamed =
    args.PV_LXC_NETWORK_LINK !== undefined || linesOf(args.PV_LXC_EXTRA_CONF).some((line) => NAMES_LINK.test(line));
  if (args.PV_LXC_NETWORK_TYPE !== 'phys' || isNamed) return [];
  const message =
    'is phys, and nothing names the interface; add PV_LXC_NETWORK_LINK, the interface of the device that the container gets';
  return [{ path: `${path}.PV_LXC_NETWORK_TYPE`, code: 'ARGUMENT_ALONE', message }];
}

function linkWarnings(
  { PV_LXC_NETWORK_TYPE: type, PV_LXC_NETWORK_LINK: link }: ContainerArguments,
  path: string,
): Problem[] {
  if (link === undefined || type === undefined || type === 'phys') return [];
  const message = `is '${link}', and means nothing for ${type}, as for the stock packager; remove it`;
  return [{ path: `${path}.PV_LXC_NETWORK_LINK`, code: 'ARGUMENT_UNUSED', message }];
}

/** Names of those by which the stock packager confines a container, or opens it: without one it may run with more than was meant. */
const CONFINING = /^(?:PV_SECURITY_|PV_LXC_|PVR_LXC_|LXC_)/;

function unknownText(name: string): string {
  const nearest = nearestName(name, KNOWN);
  const meant = nearest === undefined ? '' : `; the nearest is ${nearest}`;
  if (!CONFINING.test(name)) return `is no argument that berth pack knows, and is left out${meant}`;
  return `is no argument that berth pack knows, and may be one that confines the container${meant}; write lines for PV_LXC_EXTRA_CONF in its place, or remove it`;
}

function isArgument(name: string): name is keyof ContainerArguments {
  return Object.hasOwn(argumentsDocument.shape, name);
}

function shown(value: unknown): string {
  return JSON.stringify(value)?.slice(0, 80) ?? String(value);
}

/** Arguments that mean nothing without another one, or beside it. */
function checkCompanions(written: object, path: string): Problem[] {
  const needs = [
    ['PV_NETWORK_HOSTNAME', 'PV_NETWORK_POOL'],
    ['PV_NETWORK_IP', 'PV_NETWORK_POOL'],
    ['PV_NETWORK_MAC', 'PV_NETWORK_POOL'],
    ['PV_LXC_NETWORK_LINK', 'PV_LXC_NETWORK_TYPE'],
    ['PV_LXC_NETWORK_IPV4_ADDRESS', 'PV_LXC_NETWORK_TYPE'],
    ['PV_LXC_NETWORK_IPV4_GATEWAY', 'PV_LXC_NETWORK_TYPE'],
  ] as const;
  const alone = needs
    .filter(([name, companion]) => Object.hasOwn(written, name) && !Object.hasOwn(written, companion))
    .map(([name, companion]) => ({
      path: `${path}.${name}`,
      code: 'ARGUMENT_ALONE',
      message: `${name} means nothing without ${companion}; add that or remove this`,
    }));
  if (!Object.hasOwn(written, 'PV_LXC_CAP_KEEP') || !Object.hasOwn(written, 'PV_LXC_CAP_DROP')) return alone;
  const message = 'is there beside PV_LXC_CAP_DROP, and LXC heeds one of them; keep the one that is meant';
  return [...alone, { path: `${path}.PV_LXC_CAP_KEEP`, code: 'ARGUMENTS_EXCLUDE', message }];
}

/** The manifest of a container packed by us. `volumes`: squashfs files beside its root. */
export function runManifest(
  name: string,
  args: ContainerArguments,
  volumes: readonly string[] = [],
): Readonly<Record<string, unknown>> {
  const exported = exportsOf(args);
  const drivers = present({
    required: listOf(args.PV_DRIVERS_REQUIRED),
    optional: listOf(args.PV_DRIVERS_OPTIONAL),
    manual: listOf(args.PV_DRIVERS_MANUAL),
  });
  return present({
    '#spec': 'service-manifest-run@1',
    name,
    type: 'lxc',
    config: CONFIG_FILE,
    'root-volume': ROOT_FILE,
    storage: storageOf(args),
    volumes,
    exports: exported.length > 0 ? exported : undefined,
    group: args.PV_GROUP,
    runlevel: args.PV_RUNLEVEL,
    ...goalsOf(args),
    restart_policy: args.PV_RESTART_POLICY,
    roles: listOf(args.PV_ROLES),
    drivers: Object.keys(drivers).length > 0 ? drivers : undefined,
    auto_recovery: args.PV_AUTO_RECOVERY,
    logs: args.PV_LOGS,
    'dev-log': args.PV_DEV_LOG === undefined ? undefined : isSet(args.PV_DEV_LOG),
    network: networkOf(args),
  });
}

export const CONFIG_FILE = 'lxc.container.conf';
export const ROOT_FILE = 'root.squashfs';

/** As the stock packager writes them: a goal that the device may not know has one that it knows beside it. */
function goalsOf({ PV_STATUS_GOAL: goal, PV_LIFECYCLE_GOAL: preferred }: ContainerArguments) {
  const isStaged = goal === STAGED || (goal === undefined && preferred === STAGED);
  return { status_goal: isStaged ? 'MOUNTED' : goal, lifecycle_goal: preferred ?? (isStaged ? STAGED : undefined) };
}

function networkOf(args: ContainerArguments): object | undefined {
  if (args.PV_NETWORK_POOL === undefined) return undefined;
  return present({
    mode: 'pool',
    pool: args.PV_NETWORK_POOL,
    hostname: args.PV_NETWORK_HOSTNAME,
    ip: args.PV_NETWORK_IP,
    mac: args.PV_NETWORK_MAC,
  });
}

function present(object: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}
