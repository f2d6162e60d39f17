// device.json and its older homes: pools, groups, disks.
import * as z from 'zod/mini';
import { restartPolicy, statusGoal } from '../schema/api.ts';
import type { Pool } from '../schema/network.ts';
import { checkPools } from './pool-rules.ts';
import { APP_RECOVERY, autoRecoveryDocument, recoveryOf } from './recovery-document.ts';
import type { Group, Problem } from './revision.ts';
import { parseAt, unknownKeys } from './schema-problems.ts';

// Strings here: the rules for addresses and names are pool-rules.ts's, which says more than a schema can.
const poolDocument = z.object({
  type: z.optional(z.enum(['bridge', 'macvlan'])),
  bridge: z.optional(z.string()),
  parent: z.optional(z.string()),
  subnet: z.string(),
  gateway: z.string(),
  nat: z.optional(z.boolean()),
});

const groupDocument = z.object({
  name: z.string().check(z.minLength(1)),
  description: z.optional(z.string()),
  status_goal: z.optional(statusGoal),
  restart_policy: z.optional(restartPolicy),
  timeout: z.optional(z.number().check(z.minimum(0))),
  auto_recovery: z.optional(autoRecoveryDocument),
});
const groupsDocument = z.array(groupDocument);

const diskDocument = z.object({
  name: z.string(),
  type: z.enum(['volume-disk', 'swap-disk', 'dm-crypt-versatile', 'dm-crypt-caam', 'dm-crypt-dcp']),
  path: z.optional(z.string()),
  format: z.optional(z.string()),
  provision: z.optional(z.string()),
  default: z.optional(z.enum(['yes', 'no'])),
});

const deviceDocument = z.object({
  groups: z.optional(z.array(z.unknown())),
  disks: z.optional(z.array(diskDocument)),
  volumes: z.optional(z.record(z.string(), z.unknown())),
  network: z.optional(z.object({ pools: z.optional(z.record(z.string(), z.unknown())) })),
});

export interface Device {
  readonly groups: readonly Group[];
  /** Nobody defined any: the defaults, with their rule for containers that name none. */
  readonly hasDefaultGroups: boolean;
  readonly pools: readonly Pool[];
  readonly problems: readonly Problem[];
  readonly ignored: readonly string[];
}

const DEFAULT_TIMEOUT_SECONDS = 30;
const defaultGroup = (name: string, fields: Partial<Group> = {}): Group => ({
  name,
  statusGoal: 'STARTED',
  restartPolicy: 'system',
  timeoutSeconds: DEFAULT_TIMEOUT_SECONDS,
  autoRecovery: undefined,
  ...fields,
});

export const DEFAULT_GROUPS: readonly Group[] = [
  defaultGroup('data', { statusGoal: 'MOUNTED' }),
  defaultGroup('root'),
  defaultGroup('platform'),
  defaultGroup('app', { restartPolicy: 'container', autoRecovery: APP_RECOVERY }),
];

/** `documents`: the inline documents of the state by path. Never throws; collects everything that is wrong. */
export function readDevice(documents: ReadonlyMap<string, unknown>): Device {
  const written = documents.get('device.json') ?? {};
  const device = parseAt(deviceDocument, written, 'device.json');
  const problems: Problem[] = device.ok ? [] : [...device.problems];
  const ignored = [...unknownKeys(deviceDocument.shape, written, 'device.json')];
  const { pools, ...poolFindings } = readPools(device.ok ? (device.value.network?.pools ?? {}) : {});
  const own = device.ok && device.value.groups !== undefined ? device.value.groups : undefined;
  const groups = own ?? documents.get('groups.json');
  const base = own === undefined ? 'groups.json' : 'device.json.groups';
  const read = groups === undefined ? undefined : readGroups(groups, base);
  const disks = documents.get('disks.json');
  if (disks !== undefined) problems.push(...problemsOf(parseAt(z.array(diskDocument), disks, 'disks.json')));
  return {
    groups: read?.groups ?? DEFAULT_GROUPS,
    hasDefaultGroups: read === undefined,
    pools,
    problems: [...problems, ...poolFindings.problems, ...(read?.problems ?? [])],
    ignored: [...ignored, ...poolFindings.ignored, ...(read?.ignored ?? [])],
  };
}

const problemsOf = (parsed: ReturnType<typeof parseAt>): readonly Problem[] => (parsed.ok ? [] : parsed.problems);

function readPools(written: Readonly<Record<string, unknown>>) {
  const base = 'device.json.network.pools';
  const problems: Problem[] = [];
  const ignored: string[] = [];
  const pools: { path: string; pool: Pool }[] = [];
  for (const [name, value] of Object.entries(written)) {
    const path = `${base}.${name}`;
    const parsed = parseAt(poolDocument, value, path);
    ignored.push(...unknownKeys(poolDocument.shape, value, path));
    if (!parsed.ok) problems.push(...parsed.problems);
    const read = parsed.ok ? poolOf(name, path, parsed.value) : poolOf(name, path, salvage(value));
    if ('code' in read) problems.push(...(parsed.ok ? [read] : []));
    else pools.push({ path, pool: read });
  }
  // What a schema refused already is not said twice.
  const told = new Set(problems.map(({ path }) => path));
  problems.push(...checkPools(pools).filter(({ path }) => !told.has(path)));
  return { pools: pools.map(({ pool }) => pool), problems, ignored };
}

/** What can still be judged of a pool in which some key has the wrong type, so that all mistakes are named at once. */
function salvage(value: unknown): z.output<typeof poolDocument> {
  const text = (key: string): string => {
    const found: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined;
    return typeof found === 'string' ? found : '';
  };
  return { bridge: text('bridge'), subnet: text('subnet'), gateway: text('gateway') };
}

function poolOf(name: string, path: string, written: z.output<typeof poolDocument>): Pool | Problem {
  const { type = 'bridge', bridge, subnet, gateway, nat = false } = written;
  if (type === 'macvlan') {
    const message = `pool '${name}' has type 'macvlan', which this version does not run yet; use 'bridge'`;
    return { path: `${path}.type`, code: 'UNSUPPORTED_POOL_TYPE', message };
  }
  if (bridge === undefined) {
    return { path: `${path}.bridge`, code: 'BAD_BRIDGE', message: `is missing; name the bridge of pool '${name}'` };
  }
  return { name, type, bridge, subnet, gateway, nat };
}

function readGroups(written: unknown, base: string) {
  const parsed = parseAt(groupsDocument, written, base);
  if (!parsed.ok) return { groups: DEFAULT_GROUPS, problems: parsed.problems, ignored: [] };
  const items: readonly unknown[] = Array.isArray(written) ? written : [];
  const ignored = items.flatMap((item, index) => unknownKeys(groupDocument.shape, item, `${base}.${index}`));
  const problems = parsed.value.flatMap(({ name }, index) =>
    parsed.value.findIndex((other) => other.name === name) === index
      ? []
      : [{ path: `${base}.${index}.name`, code: 'DUPLICATE_GROUP', message: `group '${name}' is there already` }],
  );
  const groups = parsed.value.map((group) =>
    defaultGroup(group.name, {
      statusGoal: group.status_goal ?? 'STARTED',
      restartPolicy: group.restart_policy ?? 'system',
      timeoutSeconds: group.timeout ?? DEFAULT_TIMEOUT_SECONDS,
      autoRecovery: recoveryOf(group.auto_recovery),
    }),
  );
  return { groups, problems, ignored };
}
