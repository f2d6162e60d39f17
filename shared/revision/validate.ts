// A whole revision against every rule at once: what `berth check` prints, what state-svc refuses to run. Pure.
import { collectClaims } from './address-claims.ts';
import { configBudget, type ReadObject } from './config-budget.ts';
import { type NamedRun, planContainer, readRun, readVolumes } from './container-plan.ts';
import { type Device, readDevice } from './device-document.ts';
import { MDEV_FILE } from './device-plan.ts';
import { readDocument } from './document.ts';
import { driverNames } from './driver-modules.ts';
import { readDrivers } from './drivers-document.ts';
import { type HasLink, linkWarnings } from './link-warnings.ts';
import type { Group, ParsedRevision, Problem } from './revision.ts';
import { roleWarnings } from './role-warnings.ts';
import { bspRunDocument, groupNamed } from './run-document.ts';
import { printable, shown } from './schema-problems.ts';
import { readStateDocument, type StateDocument } from './state-document.ts';

/**
 * `document`: the parsed state JSON, of any shape. `readObject` answers the text of LXC configurations; what it does not answer is
 * not scanned. Objects are not hashed here. Nothing is known of the machine where `hasLink` is left out. Never throws.
 */
export function parseState(document: unknown, readObject: ReadObject, hasLink: HasLink = () => false): ParsedRevision {
  const state = readStateDocument(document);
  const device = readDevice(state.documents);
  const drivers = readDrivers(state.documents);
  const bsp = [readDocument(bspRunDocument, state.documents.get('bsp/run.json') ?? {}, 'bsp/run.json'), drivers];
  const runs = state.containers.map((name) => readRun(name, state));
  const groups = assignGroups(runs, device);
  const volumes = new Map(runs.map((run) => [run.name, readVolumes(run)]));
  const board = { device, drivers: driverNames(drivers.sections), volumes };
  const configs = configBudget(readObject);
  const read = runs.map((run, index) => planContainer(run, groups[index]?.group, board, state, configs.read));
  const claims = collectClaims(read, device.pools);
  const problems = [
    ...state.problems,
    ...KNOWN_DOCUMENTS.flatMap((path) => notInline(path, state)),
    ...device.problems,
    ...bsp.flatMap(({ problems: found }) => found),
    ...configs.problems,
    ...read.flatMap(({ problems: found }) => found),
    ...groups.flatMap(({ problems: found }) => found),
    ...claims.problems,
  ];
  if (problems.length > 0) return { ok: false, problems: withoutEchoes(problems) };
  const ignored = [
    ...uninterpreted(state, runs),
    ...device.ignored,
    ...bsp.flatMap((each) => each.ignored),
    ...read.flatMap((each) => each.ignored),
    ...claims.ignored,
  ];
  return {
    ok: true,
    revision: {
      groups: device.groups,
      pools: device.pools,
      disks: device.disks,
      drivers: drivers.sections,
      containers: read.flatMap(({ plan }) => plan ?? []),
      reservations: claims.reservations,
      objects: state.objects,
      ignored,
    },
    warnings: [
      ...device.warnings,
      ...read.flatMap(({ warnings }) => warnings),
      ...claims.warnings,
      ...linkWarnings(read, device.pools, hasLink),
      ...roleWarnings(state.documents, runs, read),
    ].map(forOneLine),
  };
}

/** The problems of a device.json that stands alone. */
export function parseDevice(document: unknown): readonly Problem[] {
  if (typeof document === 'object' && document !== null) {
    return withoutEchoes(readDevice(new Map([['device.json', document]])).problems);
  }
  return [{ path: 'device.json', code: 'BAD_TYPE', message: `is ${shown(document)}; must be of type object` }];
}

const KNOWN_DOCUMENTS = ['device.json', 'groups.json', 'disks.json', 'bsp/run.json', 'bsp/drivers.json'];

/** As an object it would not be read at all. */
function notInline(path: string, { objects }: StateDocument): readonly Problem[] {
  return objects.has(path) ? [{ path, code: 'BAD_TYPE', message: 'is an object; it must be an inline document' }] : [];
}

/** Names and paths come from strangers and end in logs and on terminals: no line breaks, no escape sequences, no novels. */
function forOneLine({ path, code, message }: Problem): Problem {
  return { path: printable(path), code, message: printable(message) };
}

/** A value that broke its schema is absent to the rules that come after: what they say of it is an echo. */
function withoutEchoes(problems: readonly Problem[]): readonly Problem[] {
  const told = new Set<string>();
  const firsts = problems.filter(({ path, code }) => {
    if (told.has(path)) return false;
    if (code === 'BAD_TYPE' || code === 'BAD_VALUE') told.add(path);
    return true;
  });
  return firsts.map(forOneLine);
}

/** Keys of the state that have no meaning here, such as src.json; overlays, signatures and bsp/ have one elsewhere. */
function uninterpreted({ documents, objects }: StateDocument, runs: readonly NamedRun[]): readonly string[] {
  const used = new Set(KNOWN_DOCUMENTS);
  for (const { name, run } of runs) {
    const files = [run?.config ?? 'lxc.container.conf', run?.['root-volume'] ?? '', ...(run?.volumes ?? [])];
    for (const file of ['run.json', MDEV_FILE, ...files]) used.add(`${name}/${file.replace(/^dm:/, '')}`);
  }
  return [...objects.keys(), ...documents.keys()].filter(
    (path) => !used.has(path) && !/^(?:_config|_sigs|bsp)\//.test(path),
  );
}

interface Assigned {
  readonly group: Group | undefined;
  readonly problems: readonly Problem[];
}

/**
 * The group of each container, in their order. With groups of the defaults' names, one that names none joins platform, except that
 * the first of them joins root when nobody names root. Codes: UNKNOWN_GROUP, GROUP_MISSING.
 */
function assignGroups(runs: readonly NamedRun[], device: Device): readonly Assigned[] {
  const rootIsNamed = runs.some(({ run }) => run !== undefined && groupNamed(run) === 'root');
  const firstWithout = runs.findIndex(({ run }) => run !== undefined && groupNamed(run) === undefined);
  const groupOf = (name: string): Group | undefined => device.groups.find((group) => group.name === name);
  const known = device.groups.map(({ name }) => name).join(', ');
  return runs.map(({ name, run }, index) => {
    if (run === undefined) return { group: undefined, problems: [] };
    const named = groupNamed(run);
    if (named === undefined) {
      if (device.hasDefaultGroups) {
        return { group: groupOf(index === firstWithout && !rootIsNamed ? 'root' : 'platform'), problems: [] };
      }
      const message = `is missing; with groups of one's own every container names one: ${known}`;
      return { group: undefined, problems: [{ path: `${name}/run.json.group`, code: 'GROUP_MISSING', message }] };
    }
    const group = groupOf(named);
    const path = `${name}/run.json.${run.group === undefined ? 'runlevel' : 'group'}`;
    const message = `container '${name}' names group '${named}', which does not exist; there are ${known}`;
    return { group, problems: group === undefined ? [{ path, code: 'UNKNOWN_GROUP', message }] : [] };
  });
}
