// args.json, what people write by hand when they package a container, and the run.json that it becomes. Pure.
import * as z from 'zod/mini';
import type { Problem } from '../../shared/revision/revision.ts';
import { restartPolicy, statusGoal } from '../../shared/schema/api.ts';
import { nearestName } from './nearest-name.ts';
import { exportsOf, storageOf, VOLUMES_ALLOWED, volumeArguments, volumeProblems } from './pack-volumes.ts';

/** LXC's configuration and run.json are line by line or by word: a control character in a value would be another line. */
const SINGLE_LINE = /^[^\p{Cc}]+$/u;
const word = z.string().check(z.regex(SINGLE_LINE, 'a non-empty string without control characters'));
const words = z.union([z.array(word), word]);
const lines = z.union([z.array(word), z.string()]);
const flag = z.union([z.boolean(), z.enum(['yes', 'no', 'true', 'false', '1', '0'])]);
const address = z.string().check(z.regex(/^[0-9.]+(\/\d{1,2})?$/, 'an IPv4 address, a.b.c.d or a.b.c.d/prefix'));

const argumentsDocument = z.object({
  PV_GROUP: z.optional(word),
  PV_STATUS_GOAL: z.optional(statusGoal),
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
  PV_LXC_NETWORK_TYPE: z.optional(z.enum(['veth', 'phys', 'empty', 'host'])),
  PV_LXC_NETWORK_IPV4_ADDRESS: z.optional(address),
  PV_LXC_NETWORK_IPV4_GATEWAY: z.optional(address),
  PV_LXC_EXTRA_CONF: z.optional(lines),
  PV_LXC_CAP_DROP: z.optional(words),
  PV_LXC_EXTRA_ENV: z.optional(lines),
  PV_RUN_TMPFS_DISABLE: z.optional(flag),
  PV_RESOLV_CONF_DISABLE: z.optional(flag),
  ...volumeArguments,
});
export type ContainerArguments = z.output<typeof argumentsDocument>;
const KNOWN: readonly string[] = Object.keys(argumentsDocument.shape);

const WORD = 'a string of one line, not empty';
const WORDS = 'a string or an array of strings';
const LINES = 'a string or an array of strings, one line each';
const FLAG = 'true or false, or "yes" or "no"';
const ADDRESS = 'an IPv4 address, a.b.c.d or a.b.c.d/prefix';

/** What is allowed, for people. What the values mean is judged with the whole revision. */
const ALLOWED: Readonly<Record<keyof ContainerArguments, string>> = {
  PV_GROUP: WORD,
  PV_STATUS_GOAL: statusGoal.options.join(', '),
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
  PV_LXC_NETWORK_TYPE: 'veth, phys, empty, host',
  PV_LXC_NETWORK_IPV4_ADDRESS: ADDRESS,
  PV_LXC_NETWORK_IPV4_GATEWAY: ADDRESS,
  PV_LXC_EXTRA_CONF: LINES,
  PV_LXC_CAP_DROP: WORDS,
  PV_LXC_EXTRA_ENV: LINES,
  PV_RUN_TMPFS_DISABLE: FLAG,
  PV_RESOLV_CONF_DISABLE: FLAG,
  ...VOLUMES_ALLOWED,
};

export interface ReadArguments {
  /** Without those that have a problem. */
  readonly args: ContainerArguments;
  readonly problems: readonly Problem[];
  /** Of arguments that are passed over: those of other packagers, and names that are mistyped. */
  readonly warnings: readonly Problem[];
}

/** `path` names the file in problems. Codes: BAD_TYPE, BAD_VALUE, ARGUMENT_ALONE, VOLUME_TWICE; warning UNKNOWN_ARGUMENT. */
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
      warnings.push({ path: at, code: 'UNKNOWN_ARGUMENT', message: unknownText(name) });
    } else if (argumentsDocument.shape[name].safeParse(value).success) {
      sound.push([name, value]);
    } else {
      problems.push({ path: at, code: 'BAD_VALUE', message: `is ${shown(value)}; must be ${ALLOWED[name]}` });
    }
  }
  const args = argumentsDocument.parse(Object.fromEntries(sound));
  const together = [...volumeProblems(args, path), ...checkCompanions(document, path)];
  return { args, problems: [...problems, ...together], warnings };
}

function unknownText(name: string): string {
  const nearest = nearestName(name, KNOWN);
  const meant = nearest === undefined ? '' : `; the nearest is ${nearest}`;
  return `is no argument that berth pack knows, and is left out${meant}`;
}

function isArgument(name: string): name is keyof ContainerArguments {
  return Object.hasOwn(argumentsDocument.shape, name);
}

function shown(value: unknown): string {
  return JSON.stringify(value)?.slice(0, 80) ?? String(value);
}

/** Arguments that mean nothing without another one. */
function checkCompanions(written: object, path: string): Problem[] {
  const needs = [
    ['PV_NETWORK_HOSTNAME', 'PV_NETWORK_POOL'],
    ['PV_NETWORK_IP', 'PV_NETWORK_POOL'],
    ['PV_NETWORK_MAC', 'PV_NETWORK_POOL'],
    ['PV_LXC_NETWORK_IPV4_ADDRESS', 'PV_LXC_NETWORK_TYPE'],
    ['PV_LXC_NETWORK_IPV4_GATEWAY', 'PV_LXC_NETWORK_TYPE'],
  ] as const;
  return needs
    .filter(([name, companion]) => Object.hasOwn(written, name) && !Object.hasOwn(written, companion))
    .map(([name, companion]) => ({
      path: `${path}.${name}`,
      code: 'ARGUMENT_ALONE',
      message: `${name} means nothing without ${companion}; add that or remove this`,
    }));
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
    status_goal: args.PV_STATUS_GOAL,
    restart_policy: args.PV_RESTART_POLICY,
    roles: listOf(args.PV_ROLES),
    drivers: Object.keys(drivers).length > 0 ? drivers : undefined,
    auto_recovery: args.PV_AUTO_RECOVERY,
    network: networkOf(args),
  });
}

export const CONFIG_FILE = 'lxc.container.conf';
export const ROOT_FILE = 'root.squashfs';

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

/** A list as JSON writes it, or as command lines do: `a,b c`. */
export function listOf(value: string | readonly string[] | undefined): readonly string[] | undefined {
  return typeof value === 'string' ? value.split(/[\s,]+/).filter((part) => part !== '') : value;
}

export function isSet(value: ContainerArguments['PV_RUN_TMPFS_DISABLE']): boolean {
  return value === true || value === 'yes' || value === 'true' || value === '1';
}

function present(object: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}
