// What the tests of log-svc stand on: a storage and a rundir in a folder of their own, real pipes, and the real process.

import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  watch,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { logContract } from '../../services/log-svc/contract.ts';
import type { RetentionSettings } from '../../services/log-svc/retention.ts';
import { parseRotatedName } from '../../services/log-svc/rotated-name.ts';
import { lxcContract } from '../../services/lxc-svc/contract.ts';
import { createContainerSockets } from '../../services/supervisor/container-sockets.ts';
import { supervisorContract } from '../../services/supervisor/contract.ts';
import { type ServiceProcess, spawnService } from '../../services/supervisor/spawn-service.ts';
import type { KeyName } from '../../shared/config/keys.ts';
import { findKey } from '../../shared/config/settings.ts';
import { createBroker } from '../../shared/ipc/broker.ts';
import { createChannel } from '../../shared/ipc/channel.ts';
import { type Channel, type Handlers, ok } from '../../shared/ipc/contract.ts';
import { memoryPorts } from '../../shared/ipc/memory-port.ts';
import { socketPort } from '../../shared/ipc/socket-port.ts';
import { errorCode } from '../../shared/kernel/system-error.ts';
import { pipe2NonBlocking } from '../../shared/kernel/unix-sockets.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { BROKER_FD, type Launch } from '../../shared/service/launch.ts';
import { resolveUid } from '../../shared/service/users.ts';
import { asRun } from '../kit/as-run.ts';

/** What is asked of the supervisor here. */
const playedContract = {
  ...supervisorContract,
  requests: { listLogSockets: supervisorContract.requests.listLogSockets },
};

export const CONTRACTS = [logContract, lxcContract, playedContract];
const HASH = 'test';
const SERVICE = join(import.meta.dirname, '../../services/log-svc');
export const COMPRESS_WORKER = asRun('services/log-svc/compress-worker.ts');

/** Of a wait for much work: a flood, some restarts. */
const LONG_PATIENCE_MS = 60_000;

export interface Place {
  readonly root: string;
  readonly storage: string;
  readonly rundir: string;
  /** <storage>/logs/<parts> */
  log(...parts: readonly string[]): string;
  remove(): void;
}

/** Folders as the supervisor makes them; everybody may pass through, `uid` owns what log-svc owns. */
export function makePlace(uid?: number): Place {
  const root = mkdtempSync(join(tmpdir(), 'berth-log-'));
  const storage = join(root, 'storage');
  const rundir = join(root, 'run');
  const owned = [join(storage, 'logs'), join(rundir, 'log')];
  for (const folder of [...owned, join(rundir, 'lxc')]) mkdirSync(folder, { recursive: true });
  chmodSync(root, 0o755);
  if (uid !== undefined) for (const folder of owned) chownSync(folder, uid, uid);
  return {
    root,
    storage,
    rundir,
    log: (...parts) => join(storage, 'logs', ...parts),
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
}

/** The rotated files of `path`, by age; where both forms of one are there, the compressed one. */
export function rotatedFiles(path: string): string[] {
  const folder = dirname(path);
  const names = existsSync(folder) ? readdirSync(folder).sort() : [];
  return names
    .filter((name) => name.startsWith(`${basename(path)}.`) && !names.includes(`${name}.gz`))
    .map((name) => join(folder, name));
}

/** The file with its older generations before it. One that is renamed while it is looked for is looked for again. */
export function readGenerations(path: string): string {
  for (;;) {
    try {
      const older = rotatedFiles(path).map((file) => {
        const bytes = readFileSync(file);
        return (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString();
      });
      return [...older, existsSync(path) ? readFileSync(path, 'utf8') : ''].join('');
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error;
    }
  }
}

/** All that a container said to its sockets, by source. */
export function readMessages(folder: string): string {
  const names = existsSync(join(folder, 'syslog')) ? readdirSync(join(folder, 'syslog')) : [];
  const sources = new Set(names.map((name) => parseRotatedName(name)?.base ?? name));
  return [...sources].map((source) => readGenerations(join(folder, 'syslog', source))).join('');
}

/** Of a log folder that rotates at `fileBytes` and has room. */
export function retentionOf(fileBytes: number, budgetBytes = fileBytes * 20): RetentionSettings {
  return {
    maxSize: { kind: 'bytes', bytes: budgetBytes },
    factors: { hysteresis: 4, rotate: Math.round(budgetBytes / 4 / fileBytes) },
  };
}

/** Resolves as soon as `holds` does, looked at whenever something below `folder` changes; rejects when nobody is patient any more. */
export async function whenFiles(folder: string, holds: () => boolean): Promise<void> {
  if (holds()) return;
  const end = performance.now() + LONG_PATIENCE_MS;
  await new Promise<void>((resolve, reject) => {
    const watcher = watch(folder, { recursive: true }, () => look());
    // Folders that come up while the watcher is being extended would be missed.
    const backstop = setInterval(() => look(), 200);
    const stop = (): void => {
      watcher.close();
      clearInterval(backstop);
    };
    const look = (): void => {
      try {
        if (holds()) resolve();
        else if (performance.now() > end) reject(new Error(`below ${folder} it never came to this: ${holds}`));
        else return;
      } catch (error) {
        reject(error);
      }
      stop();
    };
    look();
  });
}

export interface LogProcess {
  readonly pid: number;
  /** With SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
  /** As the supervisor ends it: its connection ends. Resolves to its exit code. */
  stop(): Promise<number | null>;
  lastWords(): string;
}

const PIPED = ['log-svc', 'ipam-svc', 'net-svc'] as const;
type Piped = (typeof PIPED)[number];

export interface LogTree {
  /** A peer of log-svc, on the same broker. */
  connect(service: 'state-svc' | 'lxc-svc' | 'ctl-svc'): Channel;
  /** A container's sockets, as the supervisor makes them: the folder that is mounted as /pantavisor. */
  openSockets(container: string): string;
  closeSockets(container: string): void;
  /** The write end of that service's log pipe. */
  writeFd(service: Piped): number;
  /** With this configuration. Resolves when it says that it is ready. */
  start(settings?: Readonly<Partial<Record<KeyName, string>>>): Promise<LogProcess>;
  /** Resolves when none of its processes writes any more. */
  close(): Promise<void>;
}

/** Runs the bundle with setpriv and Node's fences, just as the supervisor does. */
export async function makeLogTree(place: Place): Promise<LogTree> {
  const program = join(place.root, 'program');
  await build({
    entryPoints: {
      'log-svc': join(SERVICE, 'main.ts'),
      'compress-worker': join(SERVICE, 'compress-worker.ts'),
      boot: join(SERVICE, '../../shared/boot/main.ts'),
    },
    outdir: program,
    bundle: true,
    platform: 'node',
    target: 'node20.19',
    format: 'cjs',
    external: ['koffi', 'piscina'],
    define: { __CONTRACTS_HASH__: JSON.stringify(HASH) },
    logLevel: 'error',
  });
  symlinkSync(join(SERVICE, '../../node_modules'), join(program, 'node_modules'));
  let onReady: () => void = () => undefined;
  const broker = createBroker({
    contracts: CONTRACTS,
    contractsHash: HASH,
    log: silentLogger,
    listener: {
      onReady(service) {
        if (service === 'log-svc') onReady();
      },
      onBeat: () => undefined,
      onGone: () => undefined,
    },
  });
  const alive = new Map<ServiceProcess, Promise<unknown>>();
  const pipes = new Map(PIPED.map((source) => [source, pipe2NonBlocking()]));
  const sockets = createContainerSockets(join(place.rundir, 'ctl'), {
    control: 1_000,
    log: BROKER_FD + 1 + PIPED.length,
  });
  const connect = (service: 'supervisor' | 'state-svc' | 'lxc-svc' | 'ctl-svc'): Channel => {
    const [brokerEnd, serviceEnd] = memoryPorts();
    broker.attach(service, brokerEnd);
    return createChannel(serviceEnd, { contractsHash: HASH, log: silentLogger, beatMs: 0 });
  };
  const supervisor = connect('supervisor');
  supervisor.serve(playedContract, { listLogSockets: () => ok({ sockets: [...sockets.logSockets()] }) });
  supervisor.ready();
  sockets.listen({
    controlOpened: () => undefined,
    logOpened: (one) => supervisor.publish(supervisorContract, 'logSocketsOpened', one),
    closed: (container) => supervisor.publish(supervisorContract, 'logSocketsClosed', { container }),
    usedUp: () => undefined,
  });
  const writeFd = (service: Piped): number => pipes.get(service)?.writeFd ?? -1;
  const startOne: LogTree['start'] = async (settings = {}) => {
    const launch: Launch = {
      service: 'log-svc',
      rundir: place.rundir,
      storage: place.storage,
      mode: 'appengine',
      logPipes: PIPED.map((source, index) => ({ source, fd: BROKER_FD + 1 + index })),
      settings: Object.entries(settings).map(([name, value]) => ({
        key: findKey(name) ?? assert.fail(name),
        value,
        origin: 'command',
      })),
    };
    let onGone: (code: number | null) => void = () => undefined;
    const gone = new Promise<number | null>((resolve) => {
      onGone = resolve;
    });
    const ready = new Promise<void>((resolve, reject) => {
      onReady = resolve;
      void gone.then((code) => reject(new Error(`log-svc ended with ${code}: ${child.lastWords()}`)));
    });
    const child = spawnService(
      {
        contract: logContract,
        uid: resolveUid('berth-log'),
        places: { rundir: place.rundir, storage: place.storage, program },
        launch,
        logFd: writeFd('log-svc'),
        inheritedFds: [...[...pipes.values()].map(({ readFd }) => readFd), ...sockets.log.inherit()],
      },
      ({ code }) => {
        alive.delete(child);
        onGone(code);
      },
    );
    alive.set(child, gone);
    broker.attach('log-svc', socketPort(child.brokerFd));
    await ready;
    return {
      pid: child.pid,
      lastWords: child.lastWords,
      async kill() {
        child.kill();
        await gone;
      },
      async stop() {
        broker.detach('log-svc');
        return await gone;
      },
    };
  };
  return {
    connect,
    openSockets(container) {
      sockets.open(container);
      return sockets.folderOf(container);
    },
    closeSockets: (container) => sockets.close(container),
    writeFd,
    start: startOne,
    async close() {
      const ends = [...alive.values()];
      for (const child of alive.keys()) child.kill();
      broker.close();
      await Promise.all(ends);
      for (const { readFd, writeFd: fd } of pipes.values()) for (const end of [readFd, fd]) closeSync(end);
      for (const fd of [...sockets.control.fds, ...sockets.log.fds]) closeSync(fd);
    },
  };
}

/** An lxc-svc of which nothing but its list is asked. */
export const lxcHandlers = (
  listContainers: Handlers<typeof lxcContract>['listContainers'],
): Handlers<typeof lxcContract> => {
  const unused = (): never => {
    throw new Error('not asked for here');
  };
  const modules = { listMounts: unused, loadModules: unused, unloadModules: unused, listModules: unused };
  const others = { mount: unused, start: unused, stop: unused, unmount: unused, checkDisks: unused, health: unused };
  return { listContainers, runHooks: unused, ...modules, ...others };
};
