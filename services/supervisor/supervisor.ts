// The supervisor itself: folders, sockets, log pipes, broker and services of one tree, from start to end.
import { closeSync } from 'node:fs';
import { join } from 'node:path';
import { createBroker } from '../../shared/ipc/broker.ts';
import { createChannel } from '../../shared/ipc/channel.ts';
import type { Client, Contract, ServiceName } from '../../shared/ipc/contract.ts';
import { CONTRACTS_HASH } from '../../shared/ipc/contracts-hash.ts';
import { memoryPorts } from '../../shared/ipc/memory-port.ts';
import { socketPort } from '../../shared/ipc/socket-port.ts';
import { listenUnix, pipe2NonBlocking } from '../../shared/kernel/unix-sockets.ts';
import { createLogger } from '../../shared/log/logger.ts';
import { BROKER_FD, type Launch } from '../../shared/service/launch.ts';
import { resolveUid } from '../../shared/service/users.ts';
import { stateContract } from '../state-svc/contract.ts';
import { supervisorContract } from './contract.ts';
import { ALL_CONTRACTS, SERVICE_CONTRACTS } from './contracts.ts';
import { createControlSockets } from './control-sockets.ts';
import { prepareFolders } from './folders.ts';
import { createHandlers } from './handlers.ts';
import type { Places } from './spawn-arguments.ts';
import { type SpawnRequest, spawnService } from './spawn-service.ts';
import { createSupervisedService, type SupervisedService } from './supervised-service.ts';
import { lockTree } from './tree-lock.ts';

export interface SupervisorOptions extends Places {
  readonly mode: Launch['mode'];
  /** For people at a terminal and for the init's journal: one line per thing worth knowing. */
  readonly say: (line: string) => void;
}

export interface Supervisor {
  /** Resolves when every service has reported ready once. */
  readonly ready: Promise<void>;
  /** Ends the services. `containers`: `keep` for an upgrade, `stop` for the end of the device's day. */
  stop(containers: 'keep' | 'stop'): Promise<void>;
}

/** How long the processes of a tree that was killed may take to be gone. */
const PREDECESSOR_MS = 5_000;
const TICK_MS = 250;
const HOST_SOCKET = { mode: 0o600, backlog: 128 };
/** ctl-svc inherits the lock, then the host socket, then the bank. */
const FIRST_EXTRA_FD = BROKER_FD + 2;

export async function startSupervisor(options: SupervisorOptions): Promise<Supervisor> {
  const { rundir, storage, mode, say } = options;
  const lockFd = await lockTree(rundir, PREDECESSOR_MS);
  prepareFolders(ALL_CONTRACTS, uidOf, options);
  const hostSocketFd = listenUnix(join(rundir, 'pv-ctrl'), HOST_SOCKET);
  const sockets = createControlSockets(join(rundir, 'ctl'), FIRST_EXTRA_FD + 1);
  const pipes = new Map(ALL_CONTRACTS.map(({ service }) => [service, pipe2NonBlocking()]));
  const pipeOf = (service: ServiceName) => {
    const pipe = pipes.get(service);
    if (pipe === undefined) throw new Error(`no log pipe for ${service}`);
    return pipe;
  };
  const log = createLogger('supervisor', pipeOf('supervisor').writeFd);
  const services = new Map<ServiceName, SupervisedService>();
  const waiting = new Set<ServiceName>(SERVICE_CONTRACTS.map(({ service }) => service));
  let onAllReady: () => void = () => undefined;
  const ready = new Promise<void>((resolve) => {
    onAllReady = resolve;
  });

  const broker = createBroker({
    contracts: ALL_CONTRACTS,
    contractsHash: CONTRACTS_HASH,
    log,
    listener: {
      onReady: (service) => services.get(service)?.onReady(),
      onBeat: (service) => services.get(service)?.onBeat(),
      onGone: (service, reason) => services.get(service)?.onGone(reason),
    },
  });
  const [brokerEnd, ownEnd] = memoryPorts();
  broker.attach('supervisor', brokerEnd);
  const channel = createChannel(ownEnd, { contractsHash: CONTRACTS_HASH, log, beatMs: 0 });

  /** What a service inherits beyond the broker's socket and the lock, and how it is told. */
  const inheritance = ({ service }: Contract): Pick<SpawnRequest, 'launch' | 'inheritedFds'> => {
    const launch: Launch = { service, rundir, storage, mode };
    if (service === 'ctl-svc') {
      sockets.renew();
      return { launch: { ...launch, hostSocketFd: FIRST_EXTRA_FD }, inheritedFds: [hostSocketFd, ...sockets.fds] };
    }
    if (service === 'log-svc') {
      const entries = [...pipes];
      const logPipes = entries.map(([source], index) => ({ source, fd: FIRST_EXTRA_FD + index }));
      return { launch: { ...launch, logPipes }, inheritedFds: entries.map(([, { readFd }]) => readFd) };
    }
    if (service === 'lxc-svc') return { launch: { ...launch, logUid: resolveUid('berth-log') }, inheritedFds: [] };
    return { launch, inheritedFds: [] };
  };

  for (const contract of SERVICE_CONTRACTS) {
    const supervised = createSupervisedService(contract, {
      log,
      spawn: (_, onEnd) => {
        const { launch, inheritedFds } = inheritance(contract);
        const logFd = pipeOf(contract.service).writeFd;
        const request = { contract, uid: uidOf(contract), places: options, launch, logFd };
        return spawnService({ ...request, inheritedFds: [lockFd, ...inheritedFds] }, onEnd);
      },
      connect: ({ service }, child) => broker.attach(service, socketPort(child.socket)),
      disconnect: ({ service }) => broker.detach(service),
      announce: ({ service }, state, reason) => {
        say(reason === '' ? `${service} ${state}` : `${service} ${state}: ${reason}`);
        channel.publish(supervisorContract, 'serviceChanged', { service, state, reason, atMs: Date.now() });
        if (state === 'ready' && waiting.delete(service) && waiting.size === 0) onAllReady();
      },
    });
    services.set(contract.service, supervised);
  }

  channel.serve(
    supervisorContract,
    createHandlers({
      services: [...services.values()],
      sockets,
      uidOf: ({ contract }) => uidOf(contract),
      queueDepth: ({ contract }) => broker.queueDepth(contract.service),
      announceSocket(container) {
        const opened = sockets.open(container);
        if (opened?.isNew === true) channel.publish(supervisorContract, 'controlSocketOpened', opened.socket);
        if (opened !== undefined) return;
        // The restart adds a bank; ctl-svc asks for the list of sockets when it starts.
        sockets.renew();
        sockets.open(container);
        services.get('ctl-svc')?.renew('more control sockets are needed');
      },
    }),
  );
  channel.ready();
  for (const service of services.values()) service.start();
  const stopTicking = tick(() => {
    const now = performance.now();
    for (const service of services.values()) service.checkPulse(now);
  });

  return {
    ready,
    async stop(containers) {
      if (containers === 'stop') await stopContainers(channel.client(stateContract), say);
      stopTicking();
      for (const service of [...services.values()].reverse()) await service.stop();
      broker.close();
      for (const fd of [hostSocketFd, lockFd, ...sockets.fds]) closeSync(fd);
      for (const { readFd, writeFd } of pipes.values()) for (const fd of [readFd, writeFd]) closeSync(fd);
    },
  };
}

function uidOf(contract: Contract): number {
  return resolveUid(contract.privileges.user);
}

/** Calls `check` every TICK_MS, but not right after this process itself was held up: nobody could have been heard then. */
function tick(check: () => void): () => void {
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    if (now - last < 2 * TICK_MS) check();
    last = now;
  }, TICK_MS);
  return () => clearInterval(timer);
}

async function stopContainers(state: Client<typeof stateContract>, say: (line: string) => void): Promise<void> {
  try {
    const answer = await state.stopAll({});
    if (!answer.ok) say(`not everything could be stopped: ${answer.error.reasons.join('; ')}`);
  } catch (error) {
    say(`containers could not be stopped: ${error instanceof Error ? error.message : String(error)}`);
  }
}
