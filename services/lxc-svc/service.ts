// Puts the parts of lxc-svc together and goes on where an earlier service stopped.
import { setTimeout as delay } from 'node:timers/promises';
import type { Channel } from '../../shared/ipc/contract.ts';
import { reasonOf } from '../../shared/kernel/system-error.ts';
import { createLogger, type Logger } from '../../shared/log/logger.ts';
import type { LxcEntry } from '../../shared/lxc-config/entry.ts';
import { supervisorContract } from '../supervisor/contract.ts';
import { createCgroupMoves } from './cgroup-moves.ts';
import { cgroupSupportOnce } from './cgroup-tree.ts';
import { closeLxcFolder } from './closed-folders.ts';
import { closeConsoleFolder, openConsoleFolder } from './console-folder.ts';
import { createContainerDevices } from './container-devices.ts';
import { createContainerMounts, mountedTargets } from './container-mounts.ts';
import { createContainerRuns } from './container-runs.ts';
import { createContainerSockets } from './container-sockets.ts';
import { lxcContract } from './contract.ts';
import { systemTools } from './disk-tools.ts';
import { createDisks } from './disks.ts';
import { createFileTails } from './file-tails.ts';
import { lxcHandlers } from './handlers.ts';
import { createHooks } from './hooks.ts';
import { createKernelModules, type ModuleContext } from './kernel-modules.ts';
import { createKeyQueue } from './key-queue.ts';
import { createLookGuard } from './look-guard.ts';
import { createMonitorNetworks } from './monitor-networks.ts';
import { createMountRecords } from './mount-records.ts';
import { dropSources } from './mount-sources.ts';
import { mountsBelow, readMountTable } from './mount-table.ts';
import { othersScore } from './oom-score.ts';
import { readOwnConfig } from './own-config.ts';
import { containerPlaces, isOwnFolder, lxcPath, type Places, resolvConfPath, trailPath } from './places.ts';
import { knownContainers } from './record-store.ts';
import { createResolvConf } from './resolv-conf.ts';
import { createRevisionSources } from './revision-sources.ts';
import { type Machine, writeRunConfig } from './run-config.ts';
import { treeOf } from './tree-name.ts';
import { createWarmImages } from './warm-images.ts';

export interface LxcServiceOptions {
  readonly channel: Channel;
  readonly rundir: string;
  readonly storage: string;
  /** Undefined: <rundir>/exports. */
  readonly exports: string | undefined;
  /** The program: a path or a name. */
  readonly cryptsetup: string;
  /** Group that may read the raw logs of containers. */
  readonly readerGid: number | undefined;
  /** Whether files of containers are followed. */
  readonly capture: boolean;
  /** Whether containers have a /dev/log where nobody says anything of it. */
  readonly autoDevLog: boolean;
  /** Whether LXC's logs have all that LXC can say. */
  readonly tracesLxc: boolean;
  /** Of remounts, those that are followed. */
  readonly remountPolicy: string;
  readonly modules: ModuleContext;
  readonly hooks: { readonly folder: string | undefined; readonly timeoutMs: number };
  readonly log: Logger;
}

/** Between tries to go on with a run of an earlier service. */
const ADOPT_AGAIN_MS = 1_000;

/**
 * <rundir>/lxc exists. Returns when requests can be answered; containers that are being adopted answer theirs after it. What it answers
 * is to be called at the end.
 */
export function startLxcService(options: LxcServiceOptions): () => void {
  const { channel, rundir, storage, exports, cryptsetup, readerGid, capture, autoDevLog, modules, log } = options;
  const places: Places = { rundir, storage, exports, tree: treeOf(rundir) };
  const queue = createKeyQueue();
  const hostCgroups = cgroupSupportOnce();
  const networks = createMonitorNetworks(places);
  const records = createMountRecords(places);
  const written = createRevisionSources(places);
  const resolvConf = createResolvConf({
    path: resolvConfPath(places),
    copies: () => knownContainers(lxcPath(places)).map((container) => containerPlaces(places, container).resolv),
    log,
  });
  const mounts = createContainerMounts({
    places,
    records,
    disks: createDisks({ places, tools: systemTools(cryptsetup), log }),
    images: createWarmImages(),
    readerGid,
    log,
    events: {
      mounted: (container, revision, logs) =>
        channel.publish(lxcContract, 'containerMounted', { container, revision, logs }),
      unmounted: (container) => channel.publish(lxcContract, 'containerUnmounted', { container }),
    },
  });
  const runs = createContainerRuns({
    places,
    readerGid,
    log,
    exited(container, exit) {
      tails.finish(container);
      devices.finish(container);
      channel.publish(lxcContract, 'containerExited', { container, ...exit });
    },
  });
  const guard = createLookGuard(places);
  const tails = createFileTails({
    places,
    readerGid,
    log,
    guard,
    filesOf: (container) => (capture ? (records.read(container)?.logFiles ?? []) : []),
  });
  const devices = createContainerDevices({
    places,
    log,
    rulesOf: (container) => records.read(container)?.deviceRules,
  });
  const ownEntries = (container: string): readonly LxcEntry[] => {
    const mounted = records.read(container);
    if (mounted?.config === undefined) return [];
    try {
      return readOwnConfig(trailPath(places, mounted.revision, container, mounted.config)).entries;
    } catch (error) {
      log.warn(`${container}: its configuration cannot be read, it is stopped with LXC's signal: ${String(error)}`);
      return [];
    }
  };
  const drop = (container: string): void => {
    try {
      dropSources(containerPlaces(places, container).sources);
    } catch (error) {
      log.warn(`${container}: what LXC has mounted stays bound until it is unmounted: ${String(error)}`);
    }
  };
  const machine: Omit<Machine, 'host'> = {
    logUid: readerGid,
    written,
    resolvConf,
    prepareDevices: devices.prepare,
    tracesLxc: options.tracesLxc,
    oomScore: othersScore(),
    remountPolicy: options.remountPolicy,
    networks,
    pidOf: (container) => runs.running(container)?.pid,
  };
  const sockets = createContainerSockets(channel.client(supervisorContract));
  const hooks = createHooks({ places, ...options.hooks, log, speak: createLogger });
  channel.serve(
    lxcContract,
    lxcHandlers({
      places,
      cryptsetup,
      queue,
      records,
      mounts,
      runs,
      tails,
      devices,
      modules: createKernelModules(modules),
      hooks,
      sockets,
      moves: createCgroupMoves(),
      autoDevLog,
      writeConfig: (mounted, run) => writeRunConfig(places, mounted, { ...run, ...machine, host: hostCgroups() }, log),
      ownEntries,
      dropSources: drop,
    }),
  );
  closeLxcFolder(places, readerGid);
  const table = readMountTable();
  openConsoleFolder(places, table);
  try {
    networks.own();
    networks.openHost();
  } catch {
    // A start makes them, too, and says why it cannot.
  }
  const targets = mountedTargets(table);
  for (const container of knownContainers(lxcPath(places))) {
    mounts.resume(container, targets);
    // Requests for it wait meanwhile: they are about a run that is known by then.
    queue
      .run(container, () => adopt(container))
      .catch((error: unknown) => log.error(`${container}: going on with it: ${String(error)}`));
  }
  // Containers outlive the service: nothing of theirs is stopped.
  return () => {
    hooks.close();
    guard.close();
    resolvConf.close();
    devices.close();
    // Containers that are mounted still write on their consoles, and their monitors have a network.
    if (mountsBelow(readMountTable(), lxcPath(places)).some(({ target }) => !isOwnFolder(places, target))) return;
    closeConsoleFolder(places);
    networks.close();
  };

  /** A supervisor that was started anew has bound none: the container finds them in the folder that it has mounted. */
  async function openSockets(container: string): Promise<void> {
    try {
      await sockets.open(container);
    } catch (error) {
      log.error(`${container} is served by nobody until it is started again: no sockets: ${String(error)}`);
    }
  }

  function resumeDevices(container: string): void {
    try {
      devices.resume(container);
    } catch (error) {
      log.error(`${container} sees no devices come and go until it is started again: ${String(error)}`);
    }
  }

  /** Also where LXC's tools do not answer, or there is no room for a record: who took it for stopped would unmount its root. */
  async function adoptRun(container: string): Promise<void> {
    for (let said = ''; ; ) {
      try {
        await runs.adopt(container);
        return;
      } catch (error) {
        const why = reasonOf(error);
        if (why !== said) log.error(`${container} is not watched yet: ${why}`);
        said = why;
        await delay(ADOPT_AGAIN_MS, undefined, { ref: false });
      }
    }
  }

  async function adopt(container: string): Promise<void> {
    // Nothing can be told before the service is ready.
    await new Promise((resolve) => setImmediate(resolve));
    await adoptRun(container);
    // Of a start that went on without the service before us.
    drop(container);
    const running = runs.running(container);
    if (running !== undefined) {
      tails.follow(container, running);
      resumeDevices(container);
      await openSockets(container);
    }
    const last = running === undefined ? runs.lastExit(container) : undefined;
    // Told perhaps by the service before us, perhaps not: whoever knows it already tells it by pid and time.
    if (last !== undefined && mounts.mounted(container) !== undefined) {
      channel.publish(lxcContract, 'containerExited', { container, ...last });
    }
  }
}
