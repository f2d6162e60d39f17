// A whole revision against every rule at once: what `berth check` prints, what state-svc refuses to run. Pure.
import { collectClaims } from './address-claims.ts';
import { type NamedRun, planContainer, type ReadContainer, type ReadObject, readRun } from './container-plan.ts';
import { type Device, readDevice } from './device-document.ts';
import type { Group, ParsedRevision, Problem } from './revision.ts';
import { readStateDocument } from './state-document.ts';

/** `document`: the parsed state JSON, of any shape. `readObject` answers the text of LXC configurations. Never throws. */
export function parseState(document: unknown, readObject: ReadObject): ParsedRevision {
  const state = readStateDocument(document);
  const device = readDevice(state.documents);
  const runs = state.containers.map((name) => readRun(name, state));
  const groups = assignGroups(runs, device);
  const read = runs.map((run, index) => planContainer(run, groups[index]?.group, device, state, readObject));
  const containers = read.flatMap(({ plan }) => (plan === undefined ? [] : [plan]));
  const claims = collectClaims(containers, legacyClaims(runs, read), device.pools);
  const problems = [
    ...state.problems,
    ...device.problems,
    ...groups.flatMap(({ problems: found }) => found),
    ...read.flatMap(({ problems: found }) => found),
    ...claims.problems,
  ];
  if (problems.length > 0) return { ok: false, problems };
  const ignored = [...device.ignored, ...read.flatMap((each) => each.ignored)];
  return {
    ok: true,
    revision: {
      groups: device.groups,
      pools: device.pools,
      containers,
      reservations: claims.reservations,
      objects: state.objects,
      ignored,
    },
    warnings: [...read.flatMap(({ warnings }) => warnings), ...claims.warnings],
  };
}

/** The problems of a device.json that stands alone. */
export function parseDevice(document: unknown): readonly Problem[] {
  return readDevice(new Map([['device.json', document]])).problems;
}

function legacyClaims(runs: readonly NamedRun[], read: readonly ReadContainer[]) {
  return runs.flatMap(({ name }, index) =>
    (read[index]?.legacy ?? []).map((address) => ({ container: name, address })),
  );
}

interface Assigned {
  readonly group: Group | undefined;
  readonly problems: readonly Problem[];
}

/**
 * The group of each container, in their order. With the default groups, one that names none joins platform, except that the
 * first of them joins root when nobody names root. Codes: UNKNOWN_GROUP, GROUP_MISSING.
 */
function assignGroups(runs: readonly NamedRun[], device: Device): readonly Assigned[] {
  const rootIsNamed = runs.some(({ run }) => run?.group === 'root');
  const firstWithout = runs.findIndex(({ run }) => run !== undefined && run.group === undefined);
  const groupNamed = (name: string): Group | undefined => device.groups.find((group) => group.name === name);
  const known = device.groups.map(({ name }) => name).join(', ');
  return runs.map(({ name, run }, index) => {
    if (run === undefined) return { group: undefined, problems: [] };
    const path = `${name}/run.json.group`;
    if (run.group === undefined) {
      if (device.hasDefaultGroups) {
        return { group: groupNamed(index === firstWithout && !rootIsNamed ? 'root' : 'platform'), problems: [] };
      }
      const message = `is missing; with groups of one's own every container names one: ${known}`;
      return { group: undefined, problems: [{ path, code: 'GROUP_MISSING', message }] };
    }
    const group = groupNamed(run.group);
    const message = `container '${name}' names group '${run.group}', which does not exist; there are ${known}`;
    return { group, problems: group === undefined ? [{ path, code: 'UNKNOWN_GROUP', message }] : [] };
  });
}
