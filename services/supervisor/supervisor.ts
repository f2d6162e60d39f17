// The supervisor itself: one tree of services around one broker, from its start to its end.
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { settingsOf } from '../../shared/config/launched-settings.ts';
import { alignedInterval } from '../../shared/ipc/aligned-interval.ts';
import { type Broker, createBroker } from '../../shared/ipc/broker.ts';
import { createChannel } from '../../shared/ipc/channel.ts';
import type { Channel, Contract, ServiceName } from '../../shared/ipc/contract.ts';
import { CONTRACTS_HASH } from '../../shared/ipc/contracts-hash.ts';
import { memoryPorts } from '../../shared/ipc/memory-port.ts';
import { socketPort } from '../../shared/ipc/socket-port.ts';
import { trimHeap } from '../../shared/kernel/libc.ts';
import { createLogger, type Logger } from '../../shared/log/logger.ts';
import { giveBackAtRest } from '../../shared/service/rest.ts';
import { trustPlaces } from '../../shared/service/trust-places.ts';
import { resolveUid } from '../../shared/service/users.ts';
import { supervisorContract } from './contract.ts';
import { ALL_CONTRACTS, SERVICE_CONTRACTS } from './contracts.ts';
import { giveStorage, prepareFolders } from './folders.ts';
import { createHandlers, type Tree } from './handlers.ts';
import { type HeldDescriptors, holdDescriptors, type LaunchSettings } from './held-descriptors.ts';
import { comeLast } from './oom-score.ts';
import { protectLinks } from './protected-links.ts';
import { type AskedEnd, createReboots } from './reboots.ts';
import type { Places } from './spawn-arguments.ts';
import { spawnService } from './spawn-service.ts';
import { type StartTurns, startInTurns } from './start-turns.ts';
import { type Ending, stopContainers } from './stop-containers.ts';
import { watchStops } from './stopped-children.ts';
import { createStorageGiving } from './storage-giving.ts';
import { createSupervisedService, type SupervisedService } from './supervised-service.ts';
import { writeSysctls } from './sysctls.ts';
import { lockTree, PREDECESSOR_MS } from './tree-lock.ts';
import { createWatchdog } from './watchdog.ts';

export interface SupervisorOptions extends Places, LaunchSettings {
  /** For people at a terminal and for the init's journal: one line per thing worth knowing. */
  readonly say: (line: string) => void;
}

export interface Supervisor {
  /** Resolves when every service has reported ready once. */
  readonly ready: Promise<void>;
  /** Resolves when a service asked for a reboot or poweroff that is to be carried out: `stop('stop')`, then start over or not. */
  readonly rebootAsked: Promise<AskedEnd>;
  /**
   * Ends the services. `containers`: `keep` for an upgrade of Berth, `stop` before it ends for good. `machine`: it goes down after that,
   * and its watchdog sees to it.
   */
  stop(containers: 'keep' | 'stop', machine: 'stays' | 'ends'): Promise<Ending>;
}

type Services = ReadonlyMap<ServiceName, SupervisedService>;

const TICK_MS = 1_000;
/** After the moment at which all heartbeats come: by then those have come that will, and one that is half an interval late counts as missed. */
const TICK_LATE_MS = 600;
/** Services that start at once: also on one core, where each waits now and then for the disk. */
const LEAST_AT_A_TIME = 2;

const uidOf = (contract: Contract): number => resolveUid(contract.privileges.user);

/** Rejects when another tree runs on the same rundir or storage, or when a folder or socket cannot be made; nothing has been started then. */
export async function startSupervisor(options: SupervisorOptions): Promise<Supervisor> {
  const lock = await lockTree(options, PREDECESSOR_MS);
  const maySetSysctls = settingsOf(options).value('BERTH_SYSCTLS');
  const unprotected = protectLinks(maySetSysctls);
  comeLast();
  const unprepared = prepareFolders(ALL_CONTRACTS, uidOf, options);
  const names = ALL_CONTRACTS.map(({ service }) => service);
  const held = holdDescriptors(lock, names, options, options, options.say);
  const log = createLogger('supervisor', held.logFdOf('supervisor'));
  const services = new Map<ServiceName, SupervisedService>();
  const broker = createTreeBroker(services, log);
  const channel = connectSelf(broker, log);
  const { ready, announce } = announcer(channel, log, options.say);
  let turns: StartTurns | undefined;
  const changed: typeof announce = (contract, state, reason) => {
    announce(contract, state, reason);
    if (state === 'ready') turns?.look();
  };
  for (const contract of SERVICE_CONTRACTS) {
    services.set(contract.service, supervise(contract, { held, broker, log, options, announce: changed }));
  }
  const warn = (warning: string): void => {
    options.say(warning);
    log.warn(warning);
  };
  for (const warning of [...options.warnings, ...options.notes, ...unprotected, ...unprepared]) warn(warning);
  if (maySetSysctls) writeSysctls(options.sysctls, warn);
  const reboots = createReboots(join(options.storage, 'supervisor/reboots.json'), log);
  const watchdog = createWatchdog({
    settings: settingsOf(options),
    mode: options.mode,
    log,
    vitals: () => [...services.values()].map(({ contract, state }) => ({ service: contract.service, state })),
    countReset: reboots.count,
    nowMs: () => performance.now(),
  });
  watchdog.started();
  void ready.then(watchdog.up);
  turns = startInTurns(services, Math.max(LEAST_AT_A_TIME, availableParallelism()));
  serveRequests(channel, services, held, broker, {
    reboots,
    watchdog,
    turns,
    warnings: options.warnings,
    unprepared,
    giveStorage: createStorageGiving(async (service) => {
      for (const line of await giveStorage(service, ALL_CONTRACTS, uidOf, options)) log.warn(line);
    }),
  });
  const stopTicking = watchPulses(services);
  const stopWatchingStops = watchStops(() => {
    for (const service of services.values()) service.checkStopped();
  });
  const stopGivingBack = giveBackAtRest(trimHeap);
  return {
    ready,
    rebootAsked: reboots.asked,
    async stop(containers, machine) {
      reboots.treeEnds();
      if (machine === 'ends') watchdog.machineEnds();
      turns.end();
      // What an operator stopped is needed to take things down in order.
      if (containers === 'stop') for (const service of services.values()) service.start();
      const state = services.get('state-svc');
      const wanted = containers === 'stop' && state !== undefined;
      const ending = wanted ? await stopContainers(channel, state, options.say) : 'orderly';
      for (const service of [...services.values()].reverse()) await service.stop();
      stopTicking();
      stopWatchingStops();
      stopGivingBack();
      watchdog.ended();
      log.flush();
      broker.close();
      held.close();
      return ending;
    },
  };
}

function createTreeBroker(services: Services, log: Logger): Broker {
  return createBroker({
    contracts: ALL_CONTRACTS,
    contractsHash: CONTRACTS_HASH,
    log,
    listener: {
      onReady: (service) => services.get(service)?.onReady(),
      onBeat: (service) => services.get(service)?.onBeat(),
      onGone: (service, reason) => services.get(service)?.onGone(reason),
    },
  });
}

/** The supervisor asks and answers like any service, over memory instead of a socket. */
function connectSelf(broker: Broker, log: Logger): Channel {
  const [brokerEnd, ownEnd] = memoryPorts();
  broker.attach('supervisor', brokerEnd);
  return createChannel(ownEnd, { contractsHash: CONTRACTS_HASH, log, beatMs: 0 });
}

/** Tells people, the log and ctl-svc how services fare, and when all of them have been ready once. */
function announcer(channel: Channel, log: Logger, say: (line: string) => void) {
  const waiting = new Set<ServiceName>(SERVICE_CONTRACTS.map(({ service }) => service));
  let onAllReady: () => void = () => undefined;
  const ready = new Promise<void>((resolve) => {
    onAllReady = resolve;
  });
  const announce = ({ service }: Contract, state: string, reason: string): void => {
    const line = reason === '' ? `${service} ${state}` : `${service} ${state}: ${reason}`;
    say(line);
    log.info(line);
    channel.publish(supervisorContract, 'serviceChanged', { service, state, reason, atMs: Date.now() });
    if (state === 'ready' && waiting.delete(service) && waiting.size === 0) onAllReady();
  };
  return { ready, announce };
}

interface Around {
  readonly held: HeldDescriptors;
  readonly broker: Broker;
  readonly log: Logger;
  readonly options: SupervisorOptions;
  readonly announce: (contract: Contract, state: string, reason: string) => void;
}

function supervise(contract: Contract, { held, broker, log, options, announce }: Around): SupervisedService {
  const { service } = contract;
  return createSupervisedService(contract, {
    log,
    spawn: (onEnd) =>
      spawnService(
        {
          contract,
          uid: uidOf(contract),
          places: { ...options, trust: trustPlaces(settingsOf(options)) },
          logFd: held.logFdOf(service),
          ...held.inheritanceOf(service),
        },
        onEnd,
      ),
    connect: (child) => broker.attach(service, socketPort(child.brokerFd)),
    disconnect: () => broker.detach(service),
    announce: (state, reason) => announce(contract, state, reason),
  });
}

function serveRequests(
  channel: Channel,
  services: Services,
  held: HeldDescriptors,
  broker: Broker,
  tree: Pick<Tree, 'reboots' | 'watchdog' | 'turns' | 'warnings' | 'unprepared' | 'giveStorage'>,
): void {
  const { containerSockets } = held;
  containerSockets.listen({
    controlOpened: (socket) => channel.publish(supervisorContract, 'controlSocketOpened', socket),
    logOpened: (sockets) => channel.publish(supervisorContract, 'logSocketsOpened', sockets),
    closed(container) {
      channel.publish(supervisorContract, 'controlSocketClosed', { container });
      channel.publish(supervisorContract, 'logSocketsClosed', { container });
    },
    usedUp: (service) => services.get(service)?.renew('more sockets of containers are needed'),
  });
  const handlers = createHandlers({
    services: [...services.values()],
    sockets: containerSockets,
    ...tree,
    uidOf: ({ contract }) => uidOf(contract),
    queueDepth: ({ contract }) => broker.queueDepth(contract.service),
  });
  channel.serve(supervisorContract, handlers);
  channel.ready();
}

/** Looks after heartbeats every TICK_MS, but not right after this process itself was held up: nobody could have been heard then. */
function watchPulses(services: Services): () => void {
  let last = performance.now();
  const tick = (): void => {
    const now = performance.now();
    if (now - last < 2 * TICK_MS) for (const service of services.values()) service.checkPulse(now);
    last = now;
  };
  return alignedInterval(TICK_MS, tick, { lateMs: TICK_LATE_MS });
}
