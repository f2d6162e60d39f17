// One container: its run.json, its files, its group, its network, with every default filled in.

import { type BakedLink, bakedLinks } from '../lxc-config/baked-links.ts';
import type { LxcEntry, LxcProblem } from '../lxc-config/entry.ts';
import { initProblems } from '../lxc-config/init-command.ts';
import { unknownKeys } from '../lxc-config/keys.ts';
import { type LegacyAddress, legacyAddresses } from '../lxc-config/legacy-addresses.ts';
import { mountProblems } from '../lxc-config/mount-budget.ts';
import { ownedConflicts } from '../lxc-config/owned-keys.ts';
import { parseLxcConfig } from '../lxc-config/parse.ts';
import { basesOf, rootLayers } from '../lxc-config/root-path.ts';
import { statusGoal } from '../schema/api.ts';
import type { ReadObject } from './config-budget.ts';
import type { Device } from './device-document.ts';
import { planDevices } from './device-plan.ts';
import { missingKeys, readDocument } from './document.ts';
import { planDrivers } from './driver-plan.ts';
import { logWarnings, planLogFiles } from './log-plan.ts';
import { type InterfacePlace, planNetwork } from './network-plan.ts';
import { recoveryOf, recoveryWarnings } from './recovery-document.ts';
import { planRemounts } from './remount-plan.ts';
import type { ContainerPlan, Group, NetworkPlan, Problem } from './revision.ts';
import { rootProblems, withRootVolume } from './root-volume.ts';
import { goalNamed, hostName, isRunlevel, RUN_REQUIRED, type RunDocument, runDocument } from './run-document.ts';
import { shown } from './schema-problems.ts';
import type { StateDocument } from './state-document.ts';
import { planStorage, withoutVerity } from './storage-plan.ts';

export interface LegacyInterface extends LegacyAddress {
  /** The bridge that LXC puts it into; undefined when none is named. */
  readonly link: string | undefined;
}

export interface ReadContainer {
  readonly name: string;
  /** Undefined when a problem keeps it from being run. */
  readonly plan: ContainerPlan | undefined;
  readonly network: NetworkPlan;
  /** Where the interfaces of `network` are written, in the same order. */
  readonly places: readonly InterfacePlace[];
  readonly legacy: readonly LegacyInterface[];
  /** Bridges that LXC puts it into by its own lines. */
  readonly links: readonly BakedLink[];
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
  readonly ignored: readonly string[];
}

export interface NamedRun {
  readonly name: string;
  /** What could be understood of it; undefined: it is no inline document. */
  readonly run: RunDocument | undefined;
  readonly problems: readonly Problem[];
  readonly ignored: readonly string[];
}

/** Of one container’s LXC configuration: whoever has corrected so many checks again. */
const MAX_CONFIG_PROBLEMS = 100;

/** Of the whole revision. */
export interface Board {
  readonly device: Device;
  readonly drivers: ReadonlySet<string>;
  /** Read-only volumes by container, as readVolumes() answers them. */
  readonly volumes: ReadonlyMap<string, readonly string[] | undefined>;
}

const DEFAULT_CONFIG = 'lxc.container.conf';
const DEFAULT_ROLE = 'nobody';

export function readRun(name: string, state: StateDocument): NamedRun {
  const path = `${name}/run.json`;
  const written = state.documents.get(path);
  if (written === undefined) {
    const message = 'is an object; it must be an inline document';
    return { name, run: undefined, problems: [{ path, code: 'BAD_TYPE', message }], ignored: [] };
  }
  const { value, problems, ignored } = readDocument(runDocument, written, path);
  return { name, run: value, problems: [...problems, ...missingKeys(written, RUN_REQUIRED, path)], ignored };
}

/** Files that are its root filesystem and its further read-only volumes; undefined: its manifest cannot be read. */
export function readVolumes({ run }: NamedRun): readonly string[] | undefined {
  if (run === undefined) return undefined;
  const root = run['root-volume'];
  return [...(root === undefined ? [] : [root]), ...(run.volumes ?? [])].map(withoutVerity);
}

/**
 * Codes: RESERVED_NAME, MISSING_OBJECT, BAD_CONFIG, UNKNOWN_KEY, and those of ownedConflicts, planNetwork, planStorage and planDrivers;
 * warnings NAME_DIFFERS, NOT_SUPPORTED, MISSING.
 */
export function planContainer(
  { name, run: written, problems, ignored }: NamedRun,
  group: Group | undefined,
  { device, drivers: known, volumes: bases }: Board,
  state: StateDocument,
  readObject: ReadObject,
): ReadContainer {
  if (written === undefined) {
    const network = { mode: 'legacy' } as const;
    return { name, plan: undefined, network, places: [], legacy: [], links: [], problems, warnings: [], ignored };
  }
  const config = configOf(name, written, group, state);
  const volumes = bases.get(name) ?? [];
  const lxc = config === undefined ? { entries: [], problems: [] } : readConfig(name, config, state, readObject);
  const run = withRootVolume(name, written, config === undefined ? undefined : lxc.entries);
  const root = run['root-volume'];
  const storage = planStorage(name, run, device, lxc.entries);
  const baked = lxc.entries.filter(({ key }) => key.startsWith('lxc.net.'));
  const { plan: network, places, problems: networkProblems } = planNetwork(name, run.network, device, baked);
  const drivers = planDrivers(name, run.drivers, known);
  const devices = planDevices(name, state, lxc.entries);
  const remounts = planRemounts(run.remount, `${name}/run.json.remount`, lxc.entries);
  const hostname = run.network?.hostname ?? utsName(lxc.entries) ?? hostnameOf(name);
  const rootVolume = root && withoutVerity(root);
  const owner = { container: name, rootVolume, volumes, bases, network: network.mode, hostname };
  const read = {
    name,
    network,
    places,
    legacy: network.mode === 'legacy' ? legacyInterfaces(lxc.entries) : [],
    links: network.mode === 'legacy' ? bakedLinks(lxc.entries) : [],
    problems: [
      ...problems,
      ...rootProblems(name, run),
      ...reservedName(name),
      ...missingObjects(name, config === undefined ? volumes : [...volumes, config], state),
      ...storage.problems,
      ...[...lxc.problems, ...ownedConflicts(lxc.entries, owner)].slice(0, MAX_CONFIG_PROBLEMS).map(configProblem),
      ...networkProblems,
      ...drivers.problems,
    ],
    warnings: [
      ...warningsOf(name, run),
      ...storage.warnings,
      ...drivers.warnings,
      ...devices.warnings,
      ...remounts.warnings,
    ],
    ignored,
  };
  if (group === undefined || rootVolume === undefined) return { ...read, plan: undefined };
  const plan: ContainerPlan = {
    name,
    group: group.name,
    statusGoal: goalNamed(run) ?? group.statusGoal,
    restartPolicy: run.restart_policy ?? group.restartPolicy,
    roles: run.roles === undefined || run.roles.length === 0 ? [DEFAULT_ROLE] : run.roles,
    rootVolume,
    bases: basesOf(rootLayers(lxc.entries, name, rootVolume), name).flatMap((base) => {
      const sha256 = state.objects.get(`${base.container}/${base.file}`);
      // A container without its object is refused for that.
      return sha256 === undefined ? [] : [{ ...base, sha256 }];
    }),
    config,
    storage: storage.plan,
    hostname,
    drivers: drivers.plan,
    deviceRules: devices.rules,
    remounts: [...device.remounts, ...remounts.remounts],
    devLog: run['dev-log'],
    automodfw: run.automodfw !== false && run.automodfw !== 'no',
    logFiles: planLogFiles(run.logs ?? []),
    network,
    autoRecovery: recoveryOf(run.auto_recovery) ?? group.autoRecovery,
  };
  return { ...read, plan };
}

/** Logs of Berth itself are in the folder of this name, beside those of containers; and a container may read its own. */
const OWN_LOGS = 'pantavisor';

function reservedName(name: string): readonly Problem[] {
  if (name !== OWN_LOGS) return [];
  const message = `'${OWN_LOGS}' is the name of Berth's own logs; name the container otherwise`;
  return [{ path: `${name}/run.json`, code: 'RESERVED_NAME', message }];
}

/** Who is only to be mounted needs none, and packagers write none for it. */
function configOf(name: string, run: RunDocument, group: Group | undefined, state: StateDocument): string | undefined {
  if (run.config !== undefined || state.objects.has(`${name}/${DEFAULT_CONFIG}`)) return run.config ?? DEFAULT_CONFIG;
  return (goalNamed(run) ?? group?.statusGoal) === 'MOUNTED' ? undefined : DEFAULT_CONFIG;
}

/** The old way to name it; what Berth cannot set is left to the rules of owned keys. */
function utsName(entries: readonly LxcEntry[]): string | undefined {
  const name = hostName.safeParse(entries.findLast(({ key }) => key === 'lxc.uts.name')?.value);
  return name.success ? name.data : undefined;
}

/** A container's name may have what a host name should not (RFC 1123): underscores, and dots and dashes anywhere. */
function hostnameOf(name: string): string {
  const isHostName = !name.includes('_') && hostName.safeParse(name).success;
  return isHostName ? name : name.replace(/[^A-Za-z0-9]+/g, '-').replace(/-$/, '');
}

function legacyInterfaces(entries: readonly LxcEntry[]): readonly LegacyInterface[] {
  const last = new Map(entries.map(({ key, value }) => [key, value]));
  return legacyAddresses(entries).map((address) => {
    const link = last.get(`lxc.net.${address.interfaceIndex}.link`);
    return { ...address, link: link === '' ? undefined : link };
  });
}

function missingObjects(name: string, files: readonly string[], state: StateDocument): readonly Problem[] {
  return files
    .filter((file) => !state.objects.has(`${name}/${file}`))
    .map((file) => ({
      path: `${name}/${file}`,
      code: 'MISSING_OBJECT',
      message: `container '${name}' needs ${file}, and the state names no object for it`,
    }));
}

type ConfigProblem = LxcProblem & { readonly code: string };

function readConfig(
  name: string,
  config: string,
  { objects }: StateDocument,
  readObject: ReadObject,
): { readonly entries: readonly LxcEntry[]; readonly problems: readonly ConfigProblem[] } {
  const textOf = (file: string): string | undefined => {
    const path = `${name}/${file}`;
    const digest = objects.get(path);
    return digest === undefined ? undefined : readObject(path, digest);
  };
  const text = textOf(config);
  // Whoever has the objects reports a missing one.
  if (text === undefined) return { entries: [], problems: [] };
  const parsed = parseLxcConfig(text, config, textOf);
  const inRevision = <T extends { readonly source: string }>(each: T): T => ({
    ...each,
    source: `${name}/${each.source}`,
  });
  const entries = parsed.entries.map(inRevision);
  const problems = [
    ...parsed.problems.map(inRevision).map((problem) => ({ code: 'BAD_CONFIG', ...problem })),
    ...[...initProblems(entries), ...mountProblems(entries)].map((problem) => ({ code: 'BAD_CONFIG', ...problem })),
    ...unknownKeys(entries).map((problem) => ({ code: 'UNKNOWN_KEY', ...problem })),
  ];
  return { entries, problems };
}

function configProblem({ code, source, line, reason }: ConfigProblem): Problem {
  return { path: `${source}:${line}`, code, message: reason };
}

function warningsOf(name: string, run: RunDocument): readonly Problem[] {
  const path = `${name}/run.json`;
  const recovery = recoveryWarnings(`${path}.auto_recovery`, run.auto_recovery);
  const others = [
    ...levelWarnings(path, run),
    ...goalWarnings(path, run),
    ...recovery,
    ...logWarnings(path, run.logs ?? []),
  ];
  if (run.name === undefined || run.name === name) return others;
  const message = `is '${run.name}'; the container is named by its folder, '${name}'`;
  return [{ path: `${path}.name`, code: 'NAME_DIFFERS', message }, ...others];
}

function levelWarnings(path: string, { group, runlevel }: RunDocument): readonly Problem[] {
  if (group !== undefined || runlevel === undefined || isRunlevel(runlevel)) return [];
  const message = `is ${shown(runlevel)}, which is none and counts for nothing; write the container's group as 'group'`;
  return [{ path: `${path}.runlevel`, code: 'NOT_SUPPORTED', message }];
}

function goalWarnings(path: string, { lifecycle_goal: preferred, status_goal: goal }: RunDocument): readonly Problem[] {
  if (preferred === undefined || statusGoal.safeParse(preferred).success) return [];
  const counts = goal === undefined ? 'the goal of its group' : `status_goal, ${goal},`;
  const remedy =
    goal === 'MOUNTED'
      ? ': it is mounted, and cannot be started. For one that starts when it is asked to, write status_goal STARTED and restart_policy container, and stop it once'
      : '';
  const message = `is ${shown(preferred)}, which is no goal here; ${counts} counts${remedy}`;
  return [{ path: `${path}.lifecycle_goal`, code: 'NOT_SUPPORTED', message }];
}
