// Has the services of a build start once, beside a broker and an empty storage, for the compiled code that a start needs: what is written
// down is a third smaller, and so are the services at rest, than with all that they could ever need.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, closeSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { build } from 'esbuild';
import { supervisorContract } from '../services/supervisor/contract.ts';
import { ALL_CONTRACTS, SERVICE_CONTRACTS } from '../services/supervisor/contracts.ts';
import { expandPath, type Places } from '../services/supervisor/spawn-arguments.ts';
import { type Broker, createBroker } from '../shared/ipc/broker.ts';
import { createChannel } from '../shared/ipc/channel.ts';
import { ok, type ServiceName } from '../shared/ipc/contract.ts';
import { memoryPorts } from '../shared/ipc/memory-port.ts';
import { socketPort } from '../shared/ipc/socket-port.ts';
import { listenUnix, unixSocketPair } from '../shared/kernel/unix-sockets.ts';
import { silentLogger } from '../shared/log/logger.ts';
import { BROKER_FD, LAUNCH_VARIABLE, type Launch } from '../shared/service/launch.ts';
import {
  REHEARSED_CONTAINER,
  REHEARSED_ROOT,
  writeRehearsedRevision,
  writeRehearsedRoot,
} from './rehearsed-revision.ts';

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
  /** What the container's image would hold. */
  readonly root: string;
  /** Loaded into lxc-svc before anything of its own. */
  readonly machine: string;
}

export interface Rehearsed {
  /** Who got ready; the others' files are of no use. */
  readonly ready: readonly ServiceName[];
  /** Not where the kernel keeps namespaces to root: then nobody learns how a container is started. */
  readonly isContainerStarted: boolean;
  /** What it says is in the log. */
  readonly isLogged: boolean;
}

/** `hash` is that of the build's contracts. */
export async function rehearseServices(program: string, hash: string, caches: string): Promise<Rehearsed> {
  const place = mkdtempSync(join(tmpdir(), 'berth-rehearsal-'));
  const places = { rundir: join(place, 'run'), storage: join(place, 'storage'), program };
  const socket = join(places.rundir, 'pv-ctrl');
  const [root, machine] = [join(place, 'root'), join(place, 'machine.cjs')];
  try {
    await buildMachine(machine);
    writeRehearsedRoot(root);
    makeFolders(place, places, caches);
    const hostSocketFd = listenUnix(socket, { mode: 0o600, backlog: 8 });
    try {
      const rehearsed = await startAll({ places, caches, hostSocketFd, root, machine }, hash, socket);
      return { ...rehearsed, ready: rehearsed.ready.filter((service) => existsSync(join(caches, `${service}.cache`))) };
    } finally {
      closeSync(hostSocketFd);
    }
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

/** Answers once all have ended. */
async function startAll(rehearsal: Rehearsal, hash: string, socket: string): Promise<Rehearsed> {
  const children: ChildProcess[] = [];
  const awaited = awaitAll(SERVICE_CONTRACTS.map(({ service }) => service));
  const listener = { onReady: awaited.on, onBeat: () => undefined, onGone: () => undefined };
  const broker = createBroker({ contracts: ALL_CONTRACTS, contractsHash: hash, log: silentLogger, listener });
  connectSupervisor(broker, hash, rehearsal.places);
  try {
    const ends = SERVICE_CONTRACTS.map(({ service }) => {
      const child = start(service, rehearsal, broker);
      children.push(child);
      return new Promise<void>((resolve) => {
        for (const end of ['exit', 'error']) child.once(end, () => resolve());
      }).finally(() => awaited.ended(service));
    });
    await withLimit(READY_MS, awaited.all);
    const ready = SERVICE_CONTRACTS.map(({ service }) => service).filter((service) => awaited.ready.has(service));
    const isAsked = awaited.ready.has('ctl-svc') && awaited.ready.has('state-svc');
    if (isAsked) await withLimit(END_MS, read(socket, '/services'));
    const isContainerStarted = ready.length === SERVICE_CONTRACTS.length && (await isStarted(socket));
    const isLogged = isContainerStarted && (await isThere(logOf(rehearsal.places)));
    // They end when nobody is there any more, and write.
    broker.close();
    await withLimit(END_MS, Promise.all(ends));
    return { ready, isContainerStarted, isLogged };
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
function connectSupervisor(broker: Broker, hash: string, { rundir }: Places): void {
  const [brokerEnd, ownEnd] = memoryPorts();
  broker.attach('supervisor', brokerEnd);
  const channel = createChannel(ownEnd, { contractsHash: hash, log: silentLogger, beatMs: 0 });
  channel.serve(supervisorContract, {
    listServices: () => ok({ services: [] }),
    controlService: () => ok({}),
    openSockets: ({ container }) => {
      const folder = join(rundir, 'ctl', container);
      mkdirSync(folder, { recursive: true });
      giveToNobody(folder);
      return ok({ folder });
    },
    closeSockets: () => ok({}),
    listControlSockets: () => ok({ sockets: [] }),
    listLogSockets: () => ok({ sockets: [] }),
    reboot: () => ok({}),
    giveStorage: () => ok({}),
    powerOff: () => ok({}),
    health: () => ok({ reasons: [] }),
  });
  channel.ready();
}

/** What the supervisor makes, and the revision. */
function makeFolders(place: string, places: Places, caches: string): void {
  const owned = ALL_CONTRACTS.flatMap(({ files }) => [...files.owns, ...(files.shared ?? []).map(({ path }) => path)]);
  for (const path of owned) mkdirSync(expandPath(path, places), { recursive: true });
  writeRehearsedRevision(places.storage);
  for (const folder of [place, caches]) {
    giveToNobody(folder);
    for (const path of readdirSync(folder, { recursive: true, encoding: 'utf8' })) giveToNobody(join(folder, path));
  }
}

function giveToNobody(path: string): void {
  if (process.getuid?.() === 0) chownSync(path, NOBODY, NOBODY);
}

async function buildMachine(outfile: string): Promise<void> {
  const entryPoints = [join(import.meta.dirname, 'rehearsed-machine.ts')];
  await build({ entryPoints, outfile, bundle: true, platform: 'node', format: 'cjs', logLevel: 'warning' });
}

/** Mounts what it likes, where nobody sees it; and has a network of its own, where the kernel grants one. */
const AS_ROOT = ['unshare', '--user', '--map-root-user', '--mount'];
const WITH_NETWORK = [...AS_ROOT, '--net'];
const asNobody = () => (process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {});

function apart(service: ServiceName): readonly string[] {
  if (service !== 'lxc-svc' && service !== 'net-svc') return [];
  const [command = '', ...args] = WITH_NETWORK;
  // Without one both get ready all the same, and learn less: nobody comes back to a network that is not their user namespace's.
  if (spawnSync(command, [...args, '--', 'true'], asNobody()).status === 0) return WITH_NETWORK;
  return service === 'lxc-svc' ? AS_ROOT : [];
}

function start(service: ServiceName, around: Rehearsal, broker: Broker): ChildProcess {
  const { places, caches, hostSocketFd, root, machine } = around;
  const { rundir, storage, program } = places;
  const own = service === 'ctl-svc' ? { hostSocketFd: BROKER_FD + 1 } : {};
  const life = service === 'state-svc' ? { life: 'rehearsal' } : {};
  const launch: Launch = { service, rundir, storage, mode: 'embedded', ...own, ...life };
  const namespaces = apart(service);
  const [command = '', ...args] = [
    ...(namespaces.length === 0 ? [] : [...namespaces, '--']),
    process.execPath,
    ...(service === 'lxc-svc' ? ['--require', machine] : []),
    join(program, 'boot.js'),
    '--rehearse',
    join(program, `${service}.js`),
    join(caches, `${service}.cache`),
  ];
  const [brokerFd, childFd] = unixSocketPair();
  const child = spawn(command, args, {
    stdio: ['ignore', 'ignore', 'ignore', childFd, ...(service === 'ctl-svc' ? [hostSocketFd] : [])],
    env: { PATH: process.env.PATH, [LAUNCH_VARIABLE]: JSON.stringify(launch), [REHEARSED_ROOT]: root },
    cwd: '/',
    ...asNobody(),
  });
  closeSync(childFd);
  broker.attach(service, socketPort(brokerFd));
  return child;
}

/** Of a container that starts, on a busy machine. */
const START_MS = 5_000;
const LOOK_MS = 50;

/** Asked until the container runs, or does not. */
async function isStarted(socketPath: string): Promise<boolean> {
  const end = performance.now() + START_MS;
  while (performance.now() < end) {
    const containers = await read(socketPath, '/containers').catch(() => '');
    if (/"status":"(STARTED|READY)"/.test(containers)) return true;
    if (/"status":"(RECOVERING|STOPPED)"/.test(containers)) return false;
    await delay(LOOK_MS);
  }
  return false;
}

const logOf = ({ storage }: Places): string => join(storage, 'logs/0', REHEARSED_CONTAINER, 'lxc/lxc.log');

/** Or comes. */
async function isThere(path: string): Promise<boolean> {
  const end = performance.now() + START_MS;
  while (!existsSync(path) && performance.now() < end) await delay(LOOK_MS);
  return existsSync(path);
}

async function read(socketPath: string, path: string): Promise<string> {
  const [response]: IncomingMessage[] = await once(get({ socketPath, path }), 'response');
  const chunks: Buffer[] = [];
  if (response !== undefined) for await (const chunk of response) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

async function withLimit(limitMs: number, done: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limitMs);
  });
  await Promise.race([done, late]).catch(() => undefined);
  clearTimeout(timer);
}
