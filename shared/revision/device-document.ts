// device.json and its older homes: pools, groups, disks.
import { isDeepStrictEqual } from 'node:util';
import * as z from 'zod/mini';
import { restartPolicy, statusGoal } from '../schema/api.ts';
import { containerName } from '../schema/names.ts';
import type { Pool } from '../schema/network.ts';
import type { Remount } from '../schema/remounts.ts';
import { type DiskAt, type DiskDocument, diskList, disksAt, laterDiskList, withoutRepeated } from './disk-document.ts';
import { readDisks } from './disk-rules.ts';
import { missingKeys, readDocument } from './document.ts';
import { checkPools, type PoolAt } from './pool-rules.ts';
import { APP_RECOVERY, autoRecoveryDocument, recoveryOf, recoveryWarnings } from './recovery-document.ts';
import { planRemounts } from './remount-plan.ts';
import type { Group, PlacedDisk, Problem } from './revision.ts';
import { checkVolumes, volumeDocuments } from './volume-rules.ts';

// Strings here: the rules for addresses and names are pool-rules.ts's, which says more than a schema can.
export const poolDocument = z.object({
  type: z.optional(z.enum(['bridge', 'macvlan'])),
  bridge: z.optional(z.string()),
  parent: z.optional(z.string()),
  subnet: z.optional(z.string()),
  gateway: z.optional(z.string()),
  nat: z.optional(z.boolean()),
});

export const groupDocument = z.object({
  // Groups are parts of paths in nobody's storage, but they are names in the same API as containers.
  name: z.optional(containerName),
  description: z.optional(z.string()),
  status_goal: z.optional(statusGoal),
  restart_policy: z.optional(restartPolicy),
  timeout: z.optional(z.number().check(z.minimum(0))),
  auto_recovery: z.optional(autoRecoveryDocument),
});

/** Both are held against each other and against every container. */
const MAX_GROUPS = 1024;
const groups = z.optional(z.array(groupDocument).check(z.maxLength(MAX_GROUPS)));
export const deviceDocument = z.object({
  groups,
  disks: diskList,
  /** More of them. */
  disks_v2: diskList,
  /** More of them, and those of types that an older Pantavisor would refuse. */
  disks_v3: laterDiskList,
  /** The runtime's own; Berth keeps what is its own in the storage folder. */
  volumes: z.optional(volumeDocuments),
  /** Options of mounts of all containers (remount-plan.ts). */
  remount: z.optional(z.unknown()),
  network: z.optional(z.object({ pools: z.optional(z.record(z.string(), poolDocument)) })),
});
type DeviceDocument = z.output<typeof deviceDocument>;
type GroupDocument = z.output<typeof groupDocument>;

export interface Device {
  readonly groups: readonly Group[];
  /** Nobody defined any, or those of the defaults' names: their rule for containers that name none holds. */
  readonly hasDefaultGroups: boolean;
  readonly pools: readonly Pool[];
  /** Also those that broke a rule: who names one of these names no unknown pool. */
  readonly poolNames: ReadonlySet<string>;
  readonly disks: readonly PlacedDisk[];
  /** Names and aliases, each with the name of its disk; also of those that broke a rule. */
  readonly diskNames: ReadonlyMap<string, string>;
  /** By name, what each volume on it has against it. */
  readonly unsupportedDisks: ReadonlyMap<string, Problem>;
  /** Of volumes that name none; undefined: the storage folder itself. */
  readonly defaultDisk: string | undefined;
  readonly remounts: readonly Remount[];
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
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

const namesIn = (list: readonly Group[]): readonly string[] => list.map(({ name }) => name);

const DEFAULT_GROUPS: readonly Group[] = [
  defaultGroup('data', { statusGoal: 'MOUNTED' }),
  defaultGroup('root'),
  defaultGroup('platform'),
  defaultGroup('app', { restartPolicy: 'container', autoRecovery: APP_RECOVERY }),
];

/**
 * `documents`: the inline documents of the state by path. Never throws; collects everything that is wrong. Codes beside those of
 * documents, pools and disks: MISSING, NAT_ON_MACVLAN, WRONG_LINK_KEY, DUPLICATE_GROUP.
 */
export function readDevice(documents: ReadonlyMap<string, unknown>): Device {
  const device = readDocument(deviceDocument, documents.get('device.json') ?? {}, 'device.json');
  const older = readOlder(documents, device.value);
  const pools = readPools(device.value.network?.pools ?? {});
  const ownGroups = device.value.groups ?? [];
  const groupList =
    ownGroups.length > 0 ? readGroups(ownGroups, 'device.json.groups') : readGroups(older.groups, 'groups.json');
  const lists = [
    ...(['disks', 'disks_v2', 'disks_v3'] as const).map((key) => disksAt(device.value[key], `device.json.${key}`)),
    older.disks,
  ];
  const { first: disksOnce, repeated } = withoutRepeated(lists);
  const disksRead = readDisks(disksOnce);
  const volumes = device.value.volumes ?? {};
  const remounts = planRemounts(device.value.remount, 'device.json.remount');
  const known = { disks: disksRead.disks, diskNames: disksRead.names };
  return {
    groups: groupList.groups,
    // By name: board supports bring the same four, without the timeout and the recovery that the defaults have here.
    hasDefaultGroups: isDeepStrictEqual(namesIn(groupList.groups), namesIn(DEFAULT_GROUPS)),
    pools: pools.pools,
    poolNames: new Set(namesOf(documents.get('device.json'))),
    ...known,
    unsupportedDisks: disksRead.unsupported,
    defaultDisk: disksRead.defaultName,
    remounts: remounts.remounts,
    problems: [
      ...device.problems,
      ...older.problems,
      ...pools.problems,
      ...groupList.problems,
      ...disksRead.problems,
      ...checkVolumes(volumes, 'device.json.volumes', 'of the device', known),
    ],
    warnings: [...older.warnings, ...groupList.warnings, ...disksRead.warnings, ...remounts.warnings],
    ignored: [
      ...device.ignored,
      ...older.ignored,
      ...repeated.map(({ path }) => path),
      ...Object.keys(volumes).map((name) => `device.json.volumes.${name}`),
    ],
  };
}

/**
 * groups.json and disks.json: bare lists, read as what device.json calls them, so that one schema serves both. Pantavisor leaves both out
 * beside any device.json: a default disk in a leftover one would take the volumes away that name none. Warning: LEFT_OUT.
 */
function readOlder(documents: ReadonlyMap<string, unknown>, device: DeviceDocument) {
  const [lists, warnings]: [Record<string, unknown>, Problem[]] = [{}, []];
  const isBeside = documents.has('device.json');
  const named = isBeside ? namedDisks(documents, device) : [];
  const take = (name: 'groups' | 'disks', isSaidAnew: boolean): void => {
    const path = `${name}.json`;
    const list = documents.get(path);
    if (list === undefined) return;
    if (!isSaidAnew) lists[name] = list;
    else {
      const but = name === 'disks' && named.length > 0 ? ', but for those that volumes name' : '';
      const message = `is left out${but}: ${name} are those of device.json; move what is needed there, and remove this`;
      warnings.push({ path, code: 'LEFT_OUT', message });
    }
  };
  take('groups', (device.groups ?? []).length > 0);
  take('disks', isBeside);
  const read = readDocument(z.object({ groups, disks: diskList }), lists, '');
  const renamed = (path: string): string => path.replace(/^\.(groups|disks)/, '$1.json');
  return {
    groups: read.value.groups ?? [],
    disks: isBeside ? named : disksAt(read.value.disks, 'disks.json'),
    problems: read.problems.map((problem) => ({ ...problem, path: renamed(problem.path) })),
    warnings,
    ignored: read.ignored.map(renamed),
  };
}

/**
 * Disks of disks.json that volumes of containers name and device.json does not have, as no default: earlier builds read all of it, and a
 * device that runs such a revision is to run it after an upgrade.
 */
function namedDisks(documents: ReadonlyMap<string, unknown>, device: DeviceDocument): readonly DiskAt[] {
  const list = diskList.safeParse(documents.get('disks.json'));
  if (!list.success || list.data === undefined) return [];
  const own = [device.disks, device.disks_v2, device.disks_v3].flatMap((each) => each ?? []);
  const known = new Set(own.flatMap(namesOfDisk));
  const named = new Set<string>();
  for (const [path, document] of documents) {
    const run = path.endsWith('/run.json') ? storageOnly.safeParse(document) : undefined;
    if (run?.success === true) for (const { disk } of Object.values(run.data.storage)) named.add(disk ?? '');
  }
  return disksAt(list.data, 'disks.json').flatMap(({ document: { default: _, ...document }, path }) => {
    const names = namesOfDisk(document);
    return names.some((each) => named.has(each)) && !names.some((each) => known.has(each)) ? [{ document, path }] : [];
  });
}

const namesOfDisk = ({ name, aliases = [] }: DiskDocument): readonly string[] =>
  name === undefined ? aliases : [name, ...aliases];

const storageOnly = z.object({ storage: z.record(z.string(), z.object({ disk: z.optional(z.string()) })) });

type PoolDocuments = NonNullable<NonNullable<DeviceDocument['network']>['pools']>;

/** A key that broke its schema is absent here, and has its problem at the same path: what is said of it a second time is dropped later. */
function readPools(written: PoolDocuments) {
  const problems: Problem[] = [];
  const candidates: PoolAt[] = [];
  for (const [name, document] of Object.entries(written)) {
    const path = `device.json.network.pools.${name}`;
    const { type = 'bridge', subnet = '', gateway = '', nat = false } = document;
    const on = type === 'macvlan' ? 'parent' : 'bridge';
    problems.push(...missingKeys(document, [on, 'subnet', 'gateway'], path));
    if (type === 'macvlan' && nat) {
      const parent = document.parent === undefined ? 'its parent' : `'${document.parent}'`;
      const message = `pool '${name}' is macvlan: its containers are in the network of ${parent} itself, without NAT`;
      problems.push({ path: `${path}.nat`, code: 'NAT_ON_MACVLAN', message });
    }
    const other = type === 'macvlan' ? 'bridge' : 'parent';
    if (document[other] !== undefined) {
      const message =
        type === 'macvlan'
          ? `pool '${name}' is macvlan and has no bridge; remove 'bridge', or set "type": "bridge"`
          : `pool '${name}' is a bridge pool and has no parent; remove 'parent', or set "type": "macvlan"`;
      problems.push({ path: `${path}.${other}`, code: 'WRONG_LINK_KEY', message });
    }
    candidates.push({ path, pool: { name, type, bridge: document[on] ?? '', subnet, gateway, nat } });
  }
  const told = new Set(problems.map(({ path }) => path));
  problems.push(...checkPools(candidates).filter(({ path }) => !told.has(path)));
  return { pools: candidates.map(({ pool }) => pool), problems };
}

function namesOf(device: unknown): string[] {
  const loose = z.object({ network: z.object({ pools: z.record(z.string(), z.unknown()) }) }).safeParse(device);
  return loose.success ? Object.keys(loose.data.network.pools) : [];
}

function readGroups(written: readonly GroupDocument[], base: string) {
  if (written.length === 0) return { groups: DEFAULT_GROUPS, problems: [], warnings: [] };
  const problems: Problem[] = [];
  const warnings: Problem[] = [];
  const read: Group[] = [];
  for (const [index, group] of written.entries()) {
    const path = `${base}.${index}`;
    problems.push(...missingKeys(group, ['name'], path));
    warnings.push(...recoveryWarnings(`${path}.auto_recovery`, group.auto_recovery));
    const { name } = group;
    if (name === undefined) continue;
    if (read.some((other) => other.name === name)) {
      problems.push({ path: `${path}.name`, code: 'DUPLICATE_GROUP', message: `group '${name}' is there already` });
    }
    read.push(
      defaultGroup(name, {
        statusGoal: group.status_goal ?? 'STARTED',
        restartPolicy: group.restart_policy ?? 'container',
        timeoutSeconds: group.timeout,
        autoRecovery: recoveryOf(group.auto_recovery),
      }),
    );
  }
  return { groups: read, problems, warnings };
}
