// One container: its run.json, its files, its group, its network, with every default filled in.
import { type LegacyAddress, legacyAddresses } from '../lxc-config/legacy-addresses.ts';
import { type LxcEntry, parseLxcConfig } from '../lxc-config/parse.ts';
import type { Device } from './device-document.ts';
import { planNetwork } from './network-plan.ts';
import { recoveryOf } from './recovery-document.ts';
import type { ContainerPlan, Group, Problem } from './revision.ts';
import { type RunDocument, runDocument } from './run-document.ts';
import { parseAt, unknownKeys } from './schema-problems.ts';
import type { StateDocument } from './state-document.ts';

/** The text of an object, undefined when it cannot be read. `path`: inside the revision. */
export type ReadObject = (path: string, sha256: string) => string | undefined;

export interface ReadContainer {
  readonly plan: ContainerPlan | undefined;
  readonly legacy: readonly LegacyAddress[];
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
  readonly ignored: readonly string[];
}

export interface NamedRun {
  readonly name: string;
  readonly run: RunDocument | undefined;
  readonly problems: readonly Problem[];
  readonly ignored: readonly string[];
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
  const parsed = parseAt(runDocument, written, path);
  const ignored = unknownKeys(runDocument.shape, written, path);
  if (parsed.ok) return { name, run: parsed.value, problems: [], ignored };
  return { name, run: undefined, problems: parsed.problems, ignored };
}

/** Codes: MISSING_OBJECT, BAD_CONFIG, and those of planNetwork; warnings NAME_DIFFERS, NOT_SUPPORTED. */
export function planContainer(
  { name, run, problems, ignored }: NamedRun,
  group: Group | undefined,
  device: Device,
  state: StateDocument,
  readObject: ReadObject,
): ReadContainer {
  if (run === undefined) return { plan: undefined, legacy: [], problems, warnings: [], ignored };
  const rootVolume = run['root-volume'].replace(/^dm:/, '');
  const config = run.config ?? DEFAULT_CONFIG;
  const found = [...problems, ...missingObjects(name, [rootVolume, config], state)];
  const lxc = readConfig(name, config, state, readObject);
  const baked = lxc.entries.filter(({ key }) => key.startsWith('lxc.net.'));
  const network = planNetwork(name, run.network, device.pools, baked);
  found.push(...lxc.problems, ...network.problems);
  const legacy = network.plan.mode === 'legacy' ? legacyAddresses(lxc.entries) : [];
  const warnings = warningsOf(name, run);
  if (group === undefined) return { plan: undefined, legacy, problems: found, warnings, ignored };
  const plan: ContainerPlan = {
    name,
    group: group.name,
    statusGoal: run.status_goal ?? group.statusGoal,
    restartPolicy: run.restart_policy ?? group.restartPolicy,
    roles: run.roles === undefined || run.roles.length === 0 ? [DEFAULT_ROLE] : run.roles,
    rootVolume,
    config,
    overlayPersistence: run.storage?.['lxc-overlay']?.persistence ?? 'boot',
    hostname: run.network?.hostname ?? hostnameOf(name),
    network: network.plan,
    autoRecovery: recoveryOf(run.auto_recovery) ?? group.autoRecovery,
  };
  return { plan, legacy, problems: found, warnings, ignored };
}

/** A container's name may have underscores, a host name may not (RFC 1123). */
function hostnameOf(name: string): string {
  return name.replaceAll('_', '-').replace(/[.-]+$/, '');
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

function readConfig(
  name: string,
  config: string,
  { objects }: StateDocument,
  readObject: ReadObject,
): { readonly entries: readonly LxcEntry[]; readonly problems: readonly Problem[] } {
  const textOf = (file: string): string | undefined => {
    const path = `${name}/${file}`;
    const digest = objects.get(path);
    return digest === undefined ? undefined : readObject(path, digest);
  };
  const text = textOf(config);
  // Whoever has the objects reports a missing one.
  if (text === undefined) return { entries: [], problems: [] };
  const parsed = parseLxcConfig(text, `${name}/${config}`, (path) => textOf(path.split('/').at(-1) ?? ''));
  const problems = parsed.problems.map(({ source, line, reason }) => ({
    path: `${source}:${line}`,
    code: 'BAD_CONFIG',
    message: reason,
  }));
  return { entries: parsed.entries, problems };
}

function warningsOf(name: string, run: RunDocument): readonly Problem[] {
  const path = `${name}/run.json`;
  const warnings: Problem[] = [];
  if (run.name !== undefined && run.name !== name) {
    const message = `is '${run.name}'; the container is named by its folder, '${name}'`;
    warnings.push({ path: `${path}.name`, code: 'NAME_DIFFERS', message });
  }
  const later = { volumes: run.volumes, drivers: run.drivers, logs: run.logs, exports: run.exports };
  for (const [key, value] of Object.entries(later)) {
    if (value === undefined || Object.keys(value).length === 0) continue;
    warnings.push({
      path: `${path}.${key}`,
      code: 'NOT_SUPPORTED',
      message: 'is kept, but this version does nothing with it',
    });
  }
  return warnings;
}
