// Has the services of a build start once, beside a broker and an empty storage, for the compiled code that a start needs: what is written
// down is a third smaller, and so are the services at rest, than with all that they could ever need.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, closeSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { supervisorContract } from '../services/supervisor/contract.ts';
import { ALL_CONTRACTS, SERVICE_CONTRACTS } from '../services/supervisor/contracts.ts';
import { expandPath, type Places } from '../services/supervisor/spawn-arguments.ts';
import { type Broker, createBroker } from '../shared/ipc/broker.ts';
import { createChannel } from '../shared/ipc/channel.ts';
import { fail, ok, type ServiceName } from '../shared/ipc/contract.ts';
import { memoryPorts } from '../shared/ipc/memory-port.ts';
import { socketPort } from '../shared/ipc/socket-port.ts';
import { listenUnix } from '../shared/kernel/unix-sockets.ts';
import { silentLogger } from '../shared/log/logger.ts';
import { BROKER_FD, LAUNCH_VARIABLE, type Launch } from '../shared/service/launch.ts';

/** Nobody: a service without any right does nothing to the machine that it is built on. */
const NOBODY = 65_534;
/** Generous; who is not ready then is left to the caller. */
const READY_MS = 20_000;
const END_MS = 5_000;

interface Rehearsal {
  readonly places: Places;
  /** Where compiled code goes: files of the services' names. */
  readonly caches: string;
  readonly hostSocketFd: number;
}

/** The names of those that got ready; the others' files are of no use. `hash` is that of the build's contracts. */
export async function rehearseServices(program: string, hash: string, caches: string): Promise<readonly ServiceName[]> {
  const place = mkdtempSync(join(tmpdir(), 'berth-rehearsal-'));
  const places = { rundir: join(place, 'run'), storage: join(place, 'storage'), program };
  const socket = join(places.rundir, 'pv-ctrl');
  try {
    makeFolders(place, places, caches);
    const hostSocketFd = listenUnix(socket, { mode: 0o600, backlog: 8 });
    try {
      const ready = await startAll({ places, caches, hostSocketFd }, hash, () => ask(socket));
      return ready.filter((service) => existsSync(join(caches, `${service}.cache`)));
    } finally {
      closeSync(hostSocketFd);
    }
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

/** Answers who got ready, once all have ended. `use`: what clients would ask. */
async function startAll(rehearsal: Rehearsal, hash: string, use: () => Promise<void>): Promise<readonly ServiceName[]> {
  const children: ChildProcess[] = [];
  const awaited = awaitAll(SERVICE_CONTRACTS.map(({ service }) => service));
  const listener = { onReady: awaited.on, onBeat: () => undefined, onGone: () => undefined };
  const broker = createBroker({ contracts: ALL_CONTRACTS, contractsHash: hash, log: silentLogger, listener });
  connectSupervisor(broker, hash);
  try {
    const ends = SERVICE_CONTRACTS.map(({ service, privileges }) => {
      const child = start(service, privileges.user === 'root', rehearsal, broker);
      children.push(child);
      return new Promise<void>((resolve) => {
        for (const end of ['exit', 'error']) child.once(end, () => resolve());
      }).finally(() => awaited.ended(service));
    });
    await withLimit(READY_MS, awaited.all);
    const ready = SERVICE_CONTRACTS.map(({ service }) => service).filter((service) => awaited.ready.has(service));
    if (awaited.ready.has('ctl-svc') && awaited.ready.has('state-svc')) await withLimit(END_MS, use());
    // They end when nobody is there any more, and write.
    broker.close();
    await withLimit(END_MS, Promise.all(ends));
    return ready;
  } finally {
    broker.close();
    for (const child of children) child.kill('SIGKILL');
  }
}

/** Until each of them is ready or has ended. */
function awaitAll(services: readonly ServiceName[]) {
  const awaited = new Set(services);
  const ready = new Set<ServiceName>();
  let onAll: () => void = () => undefined;
  const all = new Promise<void>((resolve) => {
    onAll = resolve;
  });
  const ended = (service: ServiceName): void => {
    awaited.delete(service);
    if (awaited.size === 0) onAll();
  };
  const on = (service: ServiceName): void => {
    ready.add(service);
    ended(service);
  };
  return { ready, all, on, ended };
}

/** A supervisor that holds nothing and does nothing. */
function connectSupervisor(broker: Broker, hash: string): void {
  const [brokerEnd, ownEnd] = memoryPorts();
  broker.attach('supervisor', brokerEnd);
  const channel = createChannel(ownEnd, { contractsHash: hash, log: silentLogger, beatMs: 0 });
  channel.serve(supervisorContract, {
    listServices: () => ok({ services: [] }),
    controlService: () => ok({}),
    openSockets: () => fail({ code: 'SOCKET_FAILED', reason: 'a rehearsal' }),
    closeSockets: () => ok({}),
    listControlSockets: () => ok({ sockets: [] }),
    listLogSockets: () => ok({ sockets: [] }),
    reboot: () => ok({}),
    powerOff: () => ok({}),
    health: () => ok({ reasons: [] }),
  });
  channel.ready();
}

/** What the supervisor makes, and a revision 0 without containers. */
function makeFolders(place: string, places: Places, caches: string): void {
  const owned = ALL_CONTRACTS.flatMap(({ files }) => [...files.owns, ...(files.shared ?? []).map(({ path }) => path)]);
  for (const path of owned) mkdirSync(expandPath(path, places), { recursive: true });
  const revision = join(places.storage, 'trails/0/.pvr');
  mkdirSync(revision, { recursive: true });
  const state = { '#spec': 'pantavisor-service-system@1', 'device.json': {} };
  writeFileSync(join(revision, 'json'), JSON.stringify(state));
  if (process.getuid?.() !== 0) return;
  for (const folder of [place, caches]) {
    chownSync(folder, NOBODY, NOBODY);
    for (const path of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
      chownSync(join(folder, path), NOBODY, NOBODY);
    }
  }
}

/** Mounts what it likes, where nobody sees it. */
const AS_ROOT = ['unshare', '--user', '--map-root-user', '--mount', '--'];

function start(service: ServiceName, isRoot: boolean, around: Rehearsal, broker: Broker): ChildProcess {
  const { places, caches, hostSocketFd } = around;
  const { rundir, storage, program } = places;
  const own = service === 'ctl-svc' ? { hostSocketFd: BROKER_FD + 1 } : {};
  const life = service === 'state-svc' ? { life: 'rehearsal' } : {};
  const launch: Launch = { service, rundir, storage, mode: 'embedded', ...own, ...life };
  const [command = '', ...args] = [
    ...(isRoot ? AS_ROOT : []),
    ...[process.execPath, join(program, 'boot.js'), '--rehearse'],
    ...[join(program, `${service}.js`), join(caches, `${service}.cache`)],
  ];
  const child = spawn(command, args, {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe', ...(service === 'ctl-svc' ? [hostSocketFd] : [])],
    env: { PATH: process.env.PATH, [LAUNCH_VARIABLE]: JSON.stringify(launch) },
    cwd: '/',
    ...(process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {}),
  });
  const socket = child.stdio[BROKER_FD];
  if (socket instanceof Socket) broker.attach(service, socketPort(socket));
  return child;
}

/** What everybody asks first. */
async function ask(socketPath: string): Promise<void> {
  for (const path of ['/containers', '/services']) {
    const [response]: IncomingMessage[] = await once(get({ socketPath, path }), 'response');
    if (response !== undefined) await once(response.resume(), 'end');
  }
}

async function withLimit(limitMs: number, done: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limitMs);
  });
  await Promise.race([done, late]).catch(() => undefined);
  clearTimeout(timer);
}
