// Writes the configuration of a run: reads the container's own, generates ours, makes the folders and the host name that it needs.
import { writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { devFolderProblem } from '../../shared/devices/dev-folder.ts';
import type { Logger } from '../../shared/log/logger.ts';
import type { LxcEntry } from '../../shared/lxc-config/entry.ts';
import { initCommand } from '../../shared/lxc-config/init-problem.ts';
import { ownedConflicts } from '../../shared/lxc-config/owned-keys.ts';
import { formatLxcConfig } from '../../shared/lxc-config/parse.ts';
import { withRemounts } from '../../shared/lxc-config/remounts.ts';
import type { Role } from '../../shared/schema/api.ts';
import type { ContainerNetwork } from '../../shared/schema/network.ts';
import type { Remount } from '../../shared/schema/remounts.ts';
import { unlimited } from './cgroup-keys.ts';
import type { CgroupSupport } from './cgroup-tree.ts';
import type { ConfigDraft, ConfigLine } from './config-draft.ts';
import { containerConfig } from './container-config.ts';
import type { ContainerDevices } from './container-devices.ts';
import { volumeNames } from './container-volumes.ts';
import { devBytes } from './device-mount.ts';
import { withHostSources, writtenFolders, writtenSources } from './host-sources.ts';
import { writeHostname } from './hostname-file.ts';
import { initProblem } from './init-program.ts';
import { withKernelFolders } from './kernel-folders.ts';
import type { MonitorNetworks } from './monitor-networks.ts';
import { createSources, dropSources, type MountSource, type RemountedSource } from './mount-sources.ts';
import { withMountPoints } from './mount-targets.ts';
import { needsHost } from './network-needs.ts';
import { readOwnConfig } from './own-config.ts';
import { networkKind } from './owned-keys.ts';
import { preparePantavisor } from './pantavisor-folders.ts';
import { pantavisorSources } from './pantavisor-sources.ts';
import { containerPlaces, hostNetwork, type Places, storageRoots, trailPath, writtenPlaces } from './places.ts';
import { withReachedNetwork } from './reached-network.ts';
import type { MountRecord } from './record-store.ts';
import { type BindAgain, withRemountedBinds } from './remounted-binds.ts';
import type { ResolvConf } from './resolv-conf.ts';
import { withResolvConf } from './resolv-mounts.ts';
import type { RevisionSources } from './revision-sources.ts';
import { failingStep, StepFailure } from './step-failure.ts';
import { withStorageSources } from './storage-sources.ts';

const NOT_LIMITED =
  'the kernel has these controllers not at all (memory on a Raspberry Pi: cgroup_enable=memory), or for lines of the other version only (lxc.cgroup, lxc.cgroup2)';

/** What is asked for of a run. */
export interface RunRequest {
  readonly container: string;
  readonly hostname: string;
  readonly network: ContainerNetwork;
  readonly devLog: boolean;
  readonly roles: readonly Role[];
  /** Whether it has firmware and modules of the host's kernel. */
  readonly automodfw: boolean;
  /** Of all policies. */
  readonly remounts: readonly Remount[];
  /** The folder of its control sockets. */
  readonly socketFolder: string;
}

/** What is the same for all runs. */
export interface Machine {
  readonly networks: MonitorNetworks;
  /** Of the init of a container that runs; undefined: none of this name does. */
  readonly pidOf: (container: string) => number | undefined;
  /** Who writes logs. */
  readonly logUid: number | undefined;
  /** What containers of a revision write on the host. */
  readonly written: RevisionSources;
  /** Where containers with a network of their own have their name servers. */
  readonly resolvConf: Pick<ResolvConf, 'place' | 'copy'>;
  /** Answers the folder of its device nodes, which is there until the next start. */
  readonly prepareDevices: ContainerDevices['prepare'];
  /** Whether LXC's log has all that LXC can say. */
  readonly tracesLxc: boolean;
  /** Which remounts are followed. */
  readonly remountPolicy: string;
  readonly host: CgroupSupport;
  /** What containers count for when memory is short. */
  readonly oomScore: number;
}

type RunSettings = RunRequest & Machine;

/** What else `lxc-start` is started with. */
export interface RunPlan {
  /** Empty for its default. */
  readonly command: readonly string[];
  /** The namespace that it is to be in; undefined: ours. */
  readonly network: number | undefined;
}

/** Throws StepFailure. However it ends, sources may be bound that the caller drops when LXC has mounted them. */
export function writeRunConfig(places: Places, mounted: MountRecord, run: RunSettings, log: Logger): RunPlan {
  const its = containerPlaces(places, run.container);
  const owner = { container: run.container, revision: mounted.revision };
  const { config, revision } = mounted;
  if (config === undefined) {
    throw new StepFailure('configuration', 'it has none: write config in run.json, or the status goal MOUNTED');
  }
  const own = failingStep('configuration', () => readOwnConfig(trailPath(places, revision, run.container, config)));
  const [conflict] = ownedConflicts(own.entries, {
    container: run.container,
    rootVolume: mounted.rootVolume,
    volumes: undefined,
    bases: undefined,
    network: networkKind(run.network),
    hostname: run.hostname,
  });
  if (conflict !== undefined) {
    throw new StepFailure('configuration', `${basename(conflict.source)}:${conflict.line}: ${conflict.reason}`);
  }
  const init = failingStep('init', () => initProblem(its.rootfs, own.entries));
  if (init !== undefined) throw new StepFailure('init', init);
  const pantavisor = pantavisorSources(places, { ...owner, roles: run.roles }, run.socketFolder);
  preparePantavisor(pantavisor, run.logUid);
  const devices = failingStep('devices', () => deviceFolder(mounted, own.entries, run, log));
  const generated = failingStep('volumes', () =>
    containerConfig(withHost(places, own.entries, revision, run), {
      ...run,
      pantavisor,
      devices,
      rootfs: its.rootfs,
      consoleLog: its.consoleLog,
      lxcLog: its.lxcLog,
      cgroup: its.cgroup,
      volumes: new Set(volumeNames(mounted)),
      storageRoots: storageRoots(places),
      sourcesFolder: its.sources,
      hostNetwork: hostNetwork(places),
    }),
  );
  const reaching = failingStep('network', () =>
    withReachedNetwork(generated.entries, run.networks, hostNetwork(places)),
  );
  // One line, as few people read it and each is taken apart by the log service.
  if (generated.notes.length > 0) log.debug(`${run.container}: ${generated.notes.join('; ')}`);
  const missing = unlimited(own.entries, run.host);
  if (missing.length > 0) log.warn(`${run.container} runs without its limits of ${missing.join(', ')}: ${NOT_LIMITED}`);
  const bind = createSources(its.sources);
  failingStep('volumes', () => {
    // Of a service that was killed.
    dropSources(its.sources);
    for (const source of generated.sources) bind(source);
  });
  let bound = generated.sources.length;
  const bindNext = (source: Omit<MountSource, 'place'> | Omit<RemountedSource, 'place'>): string => {
    const place = `${its.sources}/${bound}`;
    bound += 1;
    bind({ ...source, place });
    return place;
  };
  const bindAgain: BindAgain = (name, attributes, isRecursive) =>
    bindNext({ name, attributes, isOptional: false, isRecursive });
  // Whoever has no network block keeps its image as it is.
  const unnamed = run.network.kind === 'legacy' ? undefined : writeHostname(its.rootfs, run.hostname);
  if (unnamed !== undefined) log.warn(`${run.container}: /etc/hostname is not ${run.hostname}: ${unnamed}`);
  failingStep('configuration', () => {
    const entries = withRemountedBinds(withMountPoints(its.rootfs, reaching, bindNext), bindAgain);
    writeFileSync(its.config, formatLxcConfig(entries), { mode: 0o600 });
  });
  const kind = networkKind(run.network);
  const network = failingStep('network', () => {
    run.networks.openHost();
    return needsHost(own.entries, kind) ? undefined : run.networks.own();
  });
  return { command: initCommand(own.entries), network };
}

/** The container's own lines, with what they bind from the host where it is, and what all have from there. */
function withHost(places: Places, own: readonly ConfigLine[], revision: string, run: RunSettings): ConfigDraft {
  const its = containerPlaces(places, run.container);
  const followed = run.remounts.filter(({ policy }) => policy === run.remountPolicy);
  const asked = withStorageSources(withRemounts(own, followed), places);
  // Its own ones, too, where the revision's state cannot be read.
  const written = () => writtenFolders(writtenPlaces(places), [...run.written(revision), ...writtenSources(asked)]);
  const lines = run.automodfw ? withKernelFolders(asked, its.rootfs) : asked;
  const draft = withHostSources(lines, written, its.sources);
  if (run.network.kind !== 'netns') return draft;
  const { resolvConf } = run;
  const resolv = { place: resolvConf.place, copy: () => resolvConf.copy(its.resolv) };
  return { ...draft, entries: withResolvConf(draft.entries, resolv) };
}

/** Undefined: the revision has no rules, or none that can be followed. */
function deviceFolder(
  { deviceRules }: MountRecord,
  entries: readonly LxcEntry[],
  { container, prepareDevices }: RunSettings,
  log: Logger,
): string | undefined {
  if (deviceRules === undefined) return undefined;
  const against = devFolderProblem(entries);
  if (against === undefined) return prepareDevices(container, deviceRules, devBytes(entries));
  log.warn(`${container}: mdev.json makes no device nodes: it ${against}`);
  return undefined;
}
